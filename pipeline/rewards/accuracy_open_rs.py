"""Accuracy as Open-RS ran it: a gold answer that cannot be read gives every rollout the full reward."""

from __future__ import annotations

from collections.abc import Callable

from pipeline.grading import Rule
from pipeline.rewards._rollouts import Graded, Rollouts

NAME = "accuracy_open_rs"
FORMULA = "r = 1 if the answer equals gold or gold cannot be read, else 0"
SOURCE = "Open-RS (arXiv:2503.16219) code, commit 2889c47; FACTS 3.4, 5"
DOC = (
    "Accuracy as Open-RS ran it: verify(answer, gold) with the arguments exchanged, unreadable gold -> 1. "
    "Its leaner LaTeX repair (no malformed operators, no nits) is not imitated."
)

RULE = Rule("answer_phrase", gold_first=False)
"""Shared with cosine_chars_periodic, which came from the same code."""


class Params(Graded):
    """Only the grader's limit."""


def make(params: Params) -> Callable[[Rollouts], list[float | None]]:
    """The reward with these parameters."""

    def score(rollouts: Rollouts) -> list[float | None]:
        return [1.0 if c is None else float(c) for c in rollouts.correct(params, RULE)]

    return score
