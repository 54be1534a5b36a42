"""Kimi 1.5's length reward: among the rollouts compared, shorter is better; wrong ones earn nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from pipeline.fingerprint import content
from pipeline.rewards._rollouts import LATEX_ONLY, Graded, Rollouts

NAME = "kimi_length"
FORMULA = "lam = 0.5 - (L - Lmin)/(Lmax - Lmin); right: r = lam, wrong: r = min(0, lam); all lengths equal: 0"
SOURCE = "Kimi k1.5 (arXiv:2501.12599); open-r1 rewards.py len_reward (commit 1416fa0); FACTS 5"
DOC = (
    "Length relative to the shortest and longest rollout: of the same prompt (paper) or of the whole call "
    "(open-r1). Gold that cannot be read counts as right, as in open-r1."
)
GROUPED = True


class Params(Graded):
    """Over what, and in what, lengths are compared."""

    over: Literal["group", "call"] = content("group", describe="Rollouts compared: one prompt's, or all.")
    unit: Literal["characters", "tokens"] = content(
        "characters", describe="Unit of length; open-r1: characters."
    )


def make(params: Params) -> Callable[[Rollouts], list[float | None]]:
    """The reward with these parameters."""

    def score(rollouts: Rollouts) -> list[float | None]:
        lengths = rollouts.characters if params.unit == "characters" else rollouts.tokens
        correct = rollouts.correct(params, LATEX_ONLY)
        rewards: list[float | None] = [0.0] * len(lengths)
        for group in rollouts.groups if params.over == "group" else (range(len(lengths)),):
            shortest = min((lengths[i] for i in group), default=0)
            longest = max((lengths[i] for i in group), default=0)
            if shortest == longest:
                continue
            for i in group:
                lam = 0.5 - (lengths[i] - shortest) / (longest - shortest)
                rewards[i] = min(0.0, lam) if correct[i] is False else lam
        return rewards

    return score
