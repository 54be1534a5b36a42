"""The sampling protocol: what is asked of an engine, what it gives back, and what a response is drawn from.

Guaranteed: what a response is drawn from depends on the policy, the protocol, the prompt and the row's own
seed, never on batches, shards, the order of work or who did it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from pipeline.engines.policy.folder import read_turn_end
from pipeline.stages.sample import SamplingConfig

if TYPE_CHECKING:
    pass


@dataclass(frozen=True)
class Request:
    """One response to sample; `position` is its row in completions.parquet, `name` what messages call it."""

    position: int
    prompt_ids: tuple[int, ...]
    seed: int
    max_tokens: int
    name: str = "a response"


@dataclass(frozen=True)
class Response:
    """The tokens of one response, EOS excluded, why it ended ('stop' or 'length') and with which EOS."""

    position: int
    token_ids: tuple[int, ...]
    finish_reason: str
    end_token: int | None = None


class Sampler(Protocol):
    """An engine with its model loaded; it yields responses as they finish, in any order."""

    tokenizer: Any
    context: int

    def sample(self, requests: Sequence[Request], config: SamplingConfig) -> Iterator[Response]:
        """Sample every request under the protocol's temperature and nucleus mass."""

    def reserve(self, positions: int) -> None:
        """Announce the longest prompt and response to come, where an engine is sized when it starts."""

    def versions(self) -> dict[str, str]:
        """The packages that decided the responses."""


def row_seed(job_seed: int, problem_id: str, sample_index: int) -> int:
    """The seed of one response: 63 bits of SHA-256 over job seed, problem and sample index."""
    text = json.dumps([job_seed, problem_id, sample_index])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def read_eos_token_ids(policy: Path, tokenizer: Any) -> list[int]:
    """Every token that ends a response: those the model declares, the tokenizer's own and the chat template's."""
    ids = {tokenizer.eos_token_id, read_turn_end(tokenizer)}
    for name in ("generation_config.json", "config.json"):
        if (policy / name).is_file():
            declared = json.loads((policy / name).read_text()).get("eos_token_id")
            ids.update(declared if isinstance(declared, list) else [declared])
    return sorted(ids - {None})


def read_context(policy: Path) -> int:
    """Positions that the model was made for."""
    config = json.loads((policy / "config.json").read_text())
    config = {**config, **config.get("text_config", {})}  # models that also see keep their own words apart
    return int(config.get("max_position_embeddings") or config.get("n_positions") or 2**31)
