"""L1-Max: right, and within the length that the prompt allows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from pipeline.fingerprint import content
from pipeline.rewards._rollouts import BOXED_FIRST, Graded, Rollouts
from pipeline.rewards._targets import target_tokens

NAME = "l1_max"
FORMULA = (
    "paper: r = c clip(alpha (n_max - L) + 0.5, 0, 1); "
    "code: r = c (clip(alpha (n_max - L), -1, 1) + 1)/2 (multiplier flag on)"
)
SOURCE = "L1 (arXiv:2503.04697) equation for L1-Max; code commit 93dd330; FACTS 5"
DOC = "Stays below a token budget that the prompt states ('Think for maximum n tokens.')."


class Params(Graded):
    """The slope around the budget, and which of the two forms."""

    alpha: float = content(3e-4, describe="Slope per token.", ge=0)
    form: Literal["paper", "code"] = content(
        "paper", describe="The equation, or what the repository computes."
    )


def make(params: Params) -> Callable[[Rollouts], list[float | None]]:
    """The reward with these parameters."""

    def share(room: int) -> float:
        if params.form == "paper":
            return min(1.0, max(0.0, params.alpha * room + 0.5))
        return (min(1.0, max(-1.0, params.alpha * room)) + 1) / 2

    def score(rollouts: Rollouts) -> list[float | None]:
        correct = rollouts.correct(params, BOXED_FIRST)
        return [
            None if c is None else c * share(target - tokens)
            for c, target, tokens in zip(correct, target_tokens(rollouts), rollouts.tokens, strict=True)
        ]

    return score
