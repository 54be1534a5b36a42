"""L1-Exact: right, minus the distance to the length that the prompt asks for."""

from __future__ import annotations

from collections.abc import Callable

from pipeline.fingerprint import content
from pipeline.rewards._rollouts import BOXED_FIRST, Graded, Rollouts
from pipeline.rewards._targets import target_tokens

NAME = "l1_exact"
FORMULA = "r = c - alpha |n_target - L|, not clipped"
SOURCE = "L1 (arXiv:2503.04697) equation for L1-Exact; code commit 93dd330; FACTS 5"
DOC = "Meets a token budget that the prompt states ('Think for n tokens.'; n ~ U(100, 4000) in the paper)."


class Params(Graded):
    """The price of one token of distance."""

    alpha: float = content(3e-4, describe="Reward lost per token of distance.", ge=0)


def make(params: Params) -> Callable[[Rollouts], list[float | None]]:
    """The reward with these parameters."""

    def score(rollouts: Rollouts) -> list[float | None]:
        correct = rollouts.correct(params, BOXED_FIRST)
        return [
            None if c is None else c - params.alpha * abs(target - tokens)
            for c, target, tokens in zip(correct, target_tokens(rollouts), rollouts.tokens, strict=True)
        ]

    return score
