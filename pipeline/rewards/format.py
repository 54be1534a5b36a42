"""Thinking and answer between their tags, as open-r1 asks."""

from __future__ import annotations

import re
from collections.abc import Callable

from pipeline.fingerprint import Config
from pipeline.rewards._rollouts import Rollouts

NAME = "format"
FORMULA = r"r = 1 if ^<think>\n.*?\n</think>\n<answer>\n.*?\n</answer>$ matches (DOTALL, MULTILINE), else 0"
SOURCE = "open-r1 rewards.py format_reward (commit 1416fa0); FACTS 5"
DOC = "open-r1's tag format. Text on lines after </answer> still passes; a prefilled <think> never does."

_FORMAT = re.compile(r"^<think>\n.*?\n</think>\n<answer>\n.*?\n</answer>$", re.DOTALL | re.MULTILINE)


class Params(Config):
    """None."""


def make(params: Params) -> Callable[[Rollouts], list[float | None]]:
    """The reward."""
    return lambda rollouts: [float(bool(_FORMAT.match(text))) for text in rollouts.texts]
