"""A final answer in a box, right or wrong."""

from __future__ import annotations

from collections.abc import Callable

from pipeline.fingerprint import Config
from pipeline.grading import find_box
from pipeline.rewards._rollouts import Rollouts

NAME = "boxed_format"
FORMULA = "r = 1 if the response holds a non-empty closed box, else 0"
SOURCE = "Open-RS (arXiv:2503.16219) section on rewards: the answer is required in a box; FACTS 3.4"
DOC = "Whether the answer is boxed at all."


class Params(Config):
    """None."""


def make(params: Params) -> Callable[[Rollouts], list[float | None]]:
    """The reward."""
    return lambda rollouts: [float(find_box(text) is not None) for text in rollouts.texts]
