"""A half for each think tag that is there exactly once."""

from __future__ import annotations

from collections.abc import Callable

from pipeline.fingerprint import Config
from pipeline.rewards._rollouts import Rollouts

NAME = "tag_count_open_rs"
FORMULA = r'r = 0.5 * number of "<think>\n", "\n</think>\n" that occur exactly once'
SOURCE = "Open-RS (arXiv:2503.16219) code, commit 2889c47; FACTS 5"
DOC = "Partial credit for the two think tags."

TAGS = ("<think>\n", "\n</think>\n")


class Params(Config):
    """None."""


def make(params: Params) -> Callable[[Rollouts], list[float | None]]:
    """The reward."""
    return lambda rollouts: [0.5 * sum(text.count(tag) == 1 for tag in TAGS) for text in rollouts.texts]
