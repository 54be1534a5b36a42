"""1 for a right final answer, 0 for a wrong one, nothing where the gold answer is no mathematics."""

from __future__ import annotations

from collections.abc import Callable

from pipeline.fingerprint import content
from pipeline.grading import Name, Rule, Unboxed
from pipeline.rewards._rollouts import Graded, Rollouts

NAME = "accuracy"
FORMULA = "r = 1 if the answer equals gold, else 0; no reward where gold cannot be read"
SOURCE = "open-r1 rewards.py accuracy_reward (commit 1416fa0); TRL accuracy_reward; FACTS 5"
DOC = "Whether the final answer is right (open-r1's semantics)."


class Params(Graded):
    """Where an answer is looked for besides the box."""

    unboxed: Unboxed = content(
        "answer_phrase",
        describe="Without a box: answer_phrase is LaTeX after 'answer is' (open-r1), last_number anything.",
    )
    grader: Name = content("math_verify", describe="By whose rules answers are compared, as in `score`.")


def make(params: Params) -> Callable[[Rollouts], list[float | None]]:
    """The reward with these parameters."""

    def score(rollouts: Rollouts) -> list[float | None]:
        return [
            None if c is None else float(c)
            for c in rollouts.correct(params, Rule(params.unboxed, grader=params.grader))
        ]

    return score
