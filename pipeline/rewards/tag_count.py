"""A quarter for each tag that is there exactly once."""

from __future__ import annotations

from collections.abc import Callable

from pipeline.fingerprint import Config
from pipeline.rewards._rollouts import Rollouts

NAME = "tag_count"
FORMULA = r"r = 0.25 * number of <think>\n, \n</think>\n, \n<answer>\n, \n</answer> that occur exactly once"
SOURCE = "open-r1 rewards.py tag_count_reward (commit 1416fa0); FACTS 5"
DOC = "Partial credit for the tags of open-r1's format."

TAGS = ("<think>\n", "\n</think>\n", "\n<answer>\n", "\n</answer>")


class Params(Config):
    """None."""


def make(params: Params) -> Callable[[Rollouts], list[float | None]]:
    """The reward."""
    return lambda rollouts: [0.25 * sum(text.count(tag) == 1 for tag in TAGS) for text in rollouts.texts]
