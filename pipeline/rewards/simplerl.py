"""The outcome reward of SimpleRL-Zoo, which the long-CoT study (P0) uses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from pipeline.fingerprint import content
from pipeline.grading import find_box
from pipeline.rewards._rollouts import BOXED_FIRST, Graded, Rollouts

NAME = "simplerl"
FORMULA = (
    "mix: r = 1 if right, else 0; "
    "independent: right and boxed 1, right only 0.5, wrong and boxed -0.5, else -1"
)
SOURCE = "SimpleRL-Zoo (arXiv:2503.18892) code commit cf1c785; P0 (arXiv:2506.07712); FACTS 1.4, 5"
DOC = "Right or wrong, by the last box or else the last number; `independent` also rewards the box."


class Params(Graded):
    """Which of the two modes; SimpleRL's limit is ten seconds."""

    mode: Literal["mix", "independent"] = content("mix", describe="Whether the box counts on its own.")
    timeout_seconds: float = content(
        10.0, describe="Processor seconds per rollout; beyond them: wrong.", gt=0
    )


def make(params: Params) -> Callable[[Rollouts], list[float | None]]:
    """The reward with these parameters."""

    def value(correct: bool | None, text: str) -> float | None:
        if correct is None or params.mode == "mix":
            return None if correct is None else float(correct)
        boxed = find_box(text) is not None
        return (1.0 if boxed else 0.5) if correct else (-0.5 if boxed else -1.0)

    def score(rollouts: Rollouts) -> list[float | None]:
        return list(map(value, rollouts.correct(params, BOXED_FIRST), rollouts.texts))

    return score
