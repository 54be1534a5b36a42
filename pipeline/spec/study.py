"""A study as the middle sees it: factors in order, what each trains, levels with inheritance resolved."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.locate import Document
from pipeline.spec.levels import Settings
from pipeline.spec.lock import Lock
from pipeline.spec.models import Spec


@dataclass(frozen=True)
class Level:
    """One level of a factor: settings of a stage, a bare value, or nothing (`none:` skips the stage)."""

    name: str
    value: Any
    settings: Settings | None

    @property
    def is_skipped(self) -> bool:
        """Whether the level leaves its stage out."""
        return self.value is None


@dataclass(frozen=True)
class Factor:
    """A factor and what it stands for: `model`, a training stage, or `value` (used through `${name}`)."""

    name: str
    kind: str
    levels: Mapping[str, Level]


@dataclass(frozen=True)
class Study:
    """A validated study file; frozen, and the only form in which the rest of the program sees it."""

    spec: Spec
    document: Document
    factors: Mapping[str, Factor]
    chain: tuple[str, ...]
    measures: Mapping[str, Settings]
    lock: Lock

    @property
    def name(self) -> str:
        """The study's name."""
        return self.spec.study
