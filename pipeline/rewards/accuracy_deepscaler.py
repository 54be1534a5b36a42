"""DeepScaleR's outcome reward: both think tags, then a right boxed answer after them."""

from __future__ import annotations

from collections.abc import Callable

from pipeline.grading import Rule
from pipeline.rewards._rollouts import Graded, Rollouts

NAME = "accuracy_deepscaler"
FORMULA = "r = +1 if <think> and </think> are there and the box after the last </think> is right, else -1"
SOURCE = "DeepScaleR math_reward.py (commit 95ef74f); FACTS 5"
DOC = (
    "+1/-1 with both think tags required. A template that prefills <think> never gets +1. "
    "Gold that cannot be read gives no reward (not stated there)."
)


class Params(Graded):
    """Only the grader's limit."""


def make(params: Params) -> Callable[[Rollouts], list[float | None]]:
    """The reward with these parameters."""

    def score(rollouts: Rollouts) -> list[float | None]:
        tagged = ["<think>" in text and "</think>" in text for text in rollouts.texts]
        answers = [text.rsplit("</think>", 1)[-1] for text in rollouts.texts]
        verdicts = rollouts.grade(params, Rule("nothing"), answers)
        return [
            None if v.verdict == "gold_unparsable" else (1.0 if has_tags and v.correct else -1.0)
            for has_tags, v in zip(tagged, verdicts, strict=True)
        ]

    return score
