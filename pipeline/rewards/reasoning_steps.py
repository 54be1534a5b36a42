"""Visible steps: three of them earn the full reward."""

from __future__ import annotations

import re
from collections.abc import Callable

from pipeline.fingerprint import Config
from pipeline.rewards._rollouts import Rollouts

NAME = "reasoning_steps"
FORMULA = (
    "r = min(1, n / 3), n = matches of: Step k:, a numbered start, a line that begins with - or *, "
    "First, Second, Next, Finally, (each with its comma)"
)
SOURCE = "open-r1 rewards.py reasoning_steps_reward (commit 1416fa0); FACTS 5"
DOC = "Marks of step-by-step reasoning. As written, a numbered line counts only at the start of the text."

_STEP = re.compile(r"(Step \d+:|^\d+\.|\n-|\n\*|First,|Second,|Next,|Finally,)")


class Params(Config):
    """None."""


def make(params: Params) -> Callable[[Rollouts], list[float | None]]:
    """The reward."""
    return lambda rollouts: [min(1.0, len(_STEP.findall(text)) / 3) for text in rollouts.texts]
