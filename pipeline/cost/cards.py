"""Rows and lengths before anything was measured: from data cards, and by family of policy and kind of problem.

Every figure is a prior with its width; a measured artifact replaces it. Sources: the data sets' cards (rows), bytes of a
column ÷ rows ÷ 3.05 for tokens of mathematics, and lengths that papers print for the policies named (docs/cost.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pipeline.cost.estimate import Prior

Family = Literal["instruct", "long", "reasoning"]
"""How a policy answers: as its instruct model does, as one trained on long chains, or as R1 and its distills do."""


@dataclass(frozen=True, slots=True)
class Card:
    """What is known of a data set: rows after mapping, tokens of a response and of a problem."""

    rows: float | None
    response: float
    problem: float


CARDS = {
    "open-r1/OpenR1-Math-220k": Card(None, 5_600, 110),
    "open-r1/OpenR1-Math-220k:all": Card(225_129, 5_600, 110),
    "open-r1/OpenR1-Math-220k:default": Card(93_733, 5_600, 110),
    "open-r1/OpenR1-Math-220k:extended": Card(131_396, 5_600, 110),
    "hkust-nlp/SimpleRL-Zoo-Data": Card(8_523, 300, 110),
    "agentica-org/DeepScaleR-Preview-Dataset": Card(40_315, 400, 110),
    "simplescaling/data_ablation_full59K": Card(59_029, 4_700, 130),
    "knoveleng/open-rs": Card(7_000, 400, 120),
    "openai/gsm8k": Card(7_473, 130, 65),
    "Arietem/tabmwp": Card(None, 100, 150),
}
"""By hub name, or name:config."""
UNKNOWN = Card(None, 500, 120)
WIDTH_OF_CARD, WIDTH_OF_NOTHING = 1.3, 2.0

HARD = ("aime24", "olympiadbench")
MEDIUM = ("math500", "minerva_math", "gaokao2023en", "amc23", "arithmetic")
RESPONSES: dict[Family, tuple[float, float, float]] = {
    "instruct": (300, 600, 1_300),
    "long": (3_000, 6_500, 14_000),
    "reasoning": (1_200, 5_000, 14_500),
}
"""Mean response tokens on easy (GSM8K), medium (MATH-500) and hard (AIME24) problems, uncut: R1-Distill-Qwen-1.5B and 7B
720 and 1,629; 5,446 and 4,141; 15,643 and 12,816; Qwen2.5-7B-Instruct 298, 600, 1,300; models of up to 3B after some
thousand long chains 5,000–10,000 on MATH-500."""
RESPONSE_WIDTHS: dict[Family, float] = {"instruct": 1.4, "long": 1.6, "reasoning": 1.4}


def find_card(name: str, config: str | None) -> tuple[Card, float]:
    """A data set's card and the width of its lengths."""
    found = CARDS.get(f"{name}:{config}") or CARDS.get(name)
    return (found, WIDTH_OF_CARD) if found is not None else (UNKNOWN, WIDTH_OF_NOTHING)


def response_prior(family: Family, problems: str, limit: float) -> Prior:
    """Mean response tokens of a family of policies on some problems, cut at `limit`."""
    level = (
        2 if any(name in problems for name in HARD) else 1 if any(name in problems for name in MEDIUM) else 0
    )
    return Prior.within(min(RESPONSES[family][level], 0.9 * limit), RESPONSE_WIDTHS[family])
