"""Artifacts: the nodes of the plan, named by what decides their content."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pipeline.fingerprint import SCHEME, Config, canonical_json, digest

Inputs = tuple[tuple[str, tuple[str, ...]], ...]
"""Roles in alphabetical order, each with the keys of its artifacts."""

SLUG_LENGTH = 56
_UNSAFE = re.compile(r"[^a-z0-9._]+")


@dataclass(frozen=True, slots=True)
class Settled:
    """A validated configuration with its canonical identity, computed once and shared by artifacts."""

    stage: str
    version: int
    config: Config
    identity: str
    index: int


@dataclass(frozen=True, slots=True)
class Artifact:
    """One thing that a study needs: made by a stage from a configuration, a seed and inputs."""

    key: str
    settled: Settled
    seed: int
    inputs: Inputs
    title: str
    hints: Mapping[str, Any] = field(default_factory=dict)

    @property
    def stage(self) -> str:
        """The stage that makes it."""
        return self.settled.stage

    @property
    def fingerprint(self) -> str:
        """The last twelve characters of the key."""
        return self.key[-12:]

    @property
    def input_keys(self) -> tuple[str, ...]:
        """The keys of all inputs."""
        inputs = self.inputs
        return inputs[0][1] if len(inputs) == 1 else tuple([key for _, keys in inputs for key in keys])


def fingerprint_payload(settled: Settled, seed: int, inputs: Inputs) -> dict[str, Any]:
    """What a fingerprint covers, as plain values (for `why` and for records)."""
    return {
        "scheme": SCHEME,
        "stage": settled.stage,
        "version": settled.version,
        "config": settled.config.identity(),
        "inputs": {role: [key[-12:] for key in keys] for role, keys in inputs},
        "seed": seed,
    }


def fingerprint_of(settled: Settled, seed: int, inputs: Inputs) -> str:
    """The digest of the payload's canonical JSON, put together from parts that are canonical already."""
    roles = ",".join(
        [
            f'"{role}":["{keys[0][-12:]}"]'  # by far the most
            if len(keys) == 1
            else f'"{role}":[' + ",".join([f'"{key[-12:]}"' for key in keys]) + "]"
            for role, keys in inputs
        ]
    )
    return digest(
        f'{{"config":{settled.identity},"inputs":{{{roles}}},"scheme":{SCHEME},"seed":{seed},'
        f'"stage":"{settled.stage}","version":{settled.version}}}'
    )


def settle(stage: str, version: int, config: Config, index: int) -> Settled:
    """Compute a configuration's canonical identity."""
    return Settled(stage, version, config, canonical_json(config.identity()), index)


@functools.lru_cache(maxsize=10_000)
def slug(text: str) -> str:
    """A readable, safe path component made from content."""
    return _UNSAFE.sub("-", text.lower()).strip("-._")[:SLUG_LENGTH].rstrip("-._") or "x"
