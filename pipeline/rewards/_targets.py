"""The token budget that an L1 prompt asks for."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.errors import InputError
from pipeline.rewards._rollouts import Rollouts, text_of

_ASKED = re.compile(r"[Tt]hink for (?:(?:a |at )?(?:maximum|most)(?: of)? )?(\d+) tokens")


def target_tokens(rollouts: Rollouts) -> list[int]:
    """Per rollout: the column `target_tokens`, else the number in the prompt's "Think for n tokens."."""
    given: Sequence[Any] | None = rollouts.columns.get("target_tokens")
    if given is not None:
        return [int(n) for n in given]
    return [_read_target(prompt) for prompt in rollouts.prompts]


def _read_target(prompt: str | Sequence[Mapping[str, Any]]) -> int:
    found = _ASKED.findall(text_of(prompt))
    if not found:
        raise InputError(
            f"an L1 reward found no token budget in the prompt {text_of(prompt)[-80:]!r}",
            "Write 'Think for {n} tokens.' into the prompt, or give the data set a column target_tokens.",
        )
    return int(found[-1])
