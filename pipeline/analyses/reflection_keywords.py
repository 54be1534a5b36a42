"""Which responses speak of checking or rethinking: the keyword half of the reflection ratio."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.fingerprint import Config

NAME = "reflection_keywords"
SOURCE = "understand-r1-zero keyword_count.py (commit dfca49d); P0 (arXiv:2506.07712); FACTS 1.6"
DOC = (
    "Reflection by keywords alone: an upper bound on P0's ratio, which also asks a judge model. "
    "'wait', 'hmm' and 'alternatively' are not keywords."
)
COLUMNS = {
    "reflects": "whether any keyword occurs (lower case, substring)",
    "keywords": "occurrences of all keywords together",
}

KEYWORDS = (
    "recheck",
    "rethink",
    "reassess",
    "reevaluate",
    "re-evaluate",
    "reevaluation",
    "re-examine",
    "reexamine",
    "reconsider",
    "reanalyze",
    "double-check",
    "check again",
    "think again",
    "verify again",
    "go over the steps",
)


class Params(Config):
    """None: the pool is the paper's."""


def measure(responses: Sequence[str], params: Params) -> dict[str, list[float] | list[bool]]:
    """Whether, and how often, each response uses a keyword."""
    counts = count_keywords(responses)
    return {"reflects": [count > 0 for count in counts], "keywords": [float(count) for count in counts]}


def count_keywords(responses: Sequence[str]) -> list[int]:
    """How often each response uses a keyword."""
    return [sum(text.count(keyword) for keyword in KEYWORDS) for text in map(str.lower, responses)]
