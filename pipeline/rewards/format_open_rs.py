"""The closing think tag on a line of its own, exactly once, as Open-RS ran it."""

from __future__ import annotations

from collections.abc import Callable

from pipeline.fingerprint import Config
from pipeline.rewards._rollouts import Rollouts

NAME = "format_open_rs"
FORMULA = r'r = 1 if the text "\n</think>\n" occurs exactly once, else 0'
SOURCE = "Open-RS (arXiv:2503.16219) code, commit 2889c47; FACTS 3.4"
DOC = "Open-RS's format reward: the closing think tag once; answer tags are ignored."


class Params(Config):
    """None."""


def make(params: Params) -> Callable[[Rollouts], list[float | None]]:
    """The reward."""
    return lambda rollouts: [float(text.count("\n</think>\n") == 1) for text in rollouts.texts]
