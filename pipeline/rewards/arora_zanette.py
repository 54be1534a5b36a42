"""Arora & Zanette's reward ("Efficient"): right answers, discounted by their length among the right ones."""

from __future__ import annotations

import math
from collections.abc import Callable

from pipeline.fingerprint import content
from pipeline.rewards._rollouts import BOXED_FIRST, Graded, Rollouts

NAME = "arora_zanette"
FORMULA = (
    "r = c (1 - alpha sigmoid((L - mean)/(std + 1e-7))); mean and population std over the right, finished "
    "rollouts of the same prompt; 0 if wrong or cut off"
)
SOURCE = "Arora & Zanette (arXiv:2502.04463); efficient-reasoning commit e3611e4; baseline of P1; FACTS 2.3"
DOC = "Right answers earn 1 - alpha to 1, less when longer than their group's right ones; L excludes EOS."
NEEDS_END = True
GROUPED = True


class Params(Graded):
    """How much of the reward length may cost."""

    alpha: float = content(0.1, describe="Largest share of the reward that length takes.", ge=0, lt=1)


def sigmoid(z: float) -> float:
    """The logistic function, for any z."""
    return 1 / (1 + math.exp(-z)) if z >= 0 else math.exp(z) / (1 + math.exp(z))


def make(params: Params) -> Callable[[Rollouts], list[float | None]]:
    """The reward with these parameters."""

    def score(rollouts: Rollouts) -> list[float | None]:
        correct, lengths = rollouts.correct(params, BOXED_FIRST), rollouts.tokens_before_end
        rewards: list[float | None] = [None if c is None else 0.0 for c in correct]
        for group in rollouts.groups:
            right = [i for i in group if correct[i] and rollouts.finished[i]]
            if not right:
                continue
            mean = sum(lengths[i] for i in right) / len(right)
            std = math.sqrt(sum((lengths[i] - mean) ** 2 for i in right) / len(right))
            for i in right:
                rewards[i] = 1 - params.alpha * sigmoid((lengths[i] - mean) / (std + 1e-7))
        return rewards

    return score
