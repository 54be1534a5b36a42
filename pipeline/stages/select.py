"""Keep rows by what a model made of their problems: how often it solved them, or how a judge labelled them.

By scores: `at_least`, `above`, `at_most`, `below` bound the share of correct samples of each problem. Open-RS
drops what a model solves (FACTS 3.2; threshold and number of attempts are not released), the reference
difficulty filter keeps low < share < high, both strict (FACTS 5). By verdicts: a row stays where every
readable verdict on its problem carries one of `labels`.
Guarantees: the kept rows stay in their order; each reason is counted. The share is kept as `solved_share`.
Refuses: a row without a score or verdict, naming it; bounds that nothing can meet. A selection that leaves
nothing stops the stage.
"""

from __future__ import annotations

from typing import Literal

from pydantic import model_validator

from pipeline.fingerprint import Config, content
from pipeline.stages import Stage


class SelectConfig(Config):
    """Bounds on the share of correct samples, or the labels of a judge: one of the two."""

    at_least: float | None = content(
        None, describe="Smallest share of correct samples that is kept.", ge=0, le=1
    )
    above: float | None = content(None, describe="Keep shares greater than this.", ge=0, lt=1)
    at_most: float | None = content(
        None, describe="Largest share of correct samples that is kept.", ge=0, le=1
    )
    below: float | None = content(None, describe="Keep shares smaller than this.", gt=0, le=1)
    labels: tuple[str, ...] = content((), describe="Labels of a judge that are kept.")
    unreadable: Literal["drop", "keep"] = content(
        "drop", describe="Rows of which a judge's every verdict is unreadable."
    )

    @model_validator(mode="after")
    def _consistent(self) -> SelectConfig:
        bounds = (self.at_least, self.above, self.at_most, self.below)
        if (any(bound is not None for bound in bounds)) == bool(self.labels):
            raise ValueError(
                "select needs either bounds (at_least, above, at_most, below) or a judge's labels\n"
                "Write e.g. at_least: 1."
            )
        for pair in ("at_least", "above"), ("at_most", "below"):
            if all(getattr(self, name) is not None for name in pair):
                raise ValueError(f"{pair[0]} and {pair[1]} bound the same side; give one of them")
        low = self.at_least if self.above is None else self.above
        high = self.at_most if self.below is None else self.below
        is_strict = self.above is not None or self.below is not None
        if low is not None and high is not None and (low > high or (low == high and is_strict)):
            raise ValueError(f"no share of correct samples lies between {low:g} and {high:g} as bounded")
        return self

    def is_too_small(self, share: float) -> bool:
        """Whether a share of correct samples misses the lower bound."""
        return (self.at_least is not None and share < self.at_least) or (
            self.above is not None and share <= self.above
        )

    def is_too_large(self, share: float) -> bool:
        """Whether a share of correct samples passes the upper bound."""
        return (self.at_most is not None and share > self.at_most) or (
            self.below is not None and share >= self.below
        )


STAGE = Stage(
    name="select",
    version=1,
    config=SelectConfig,
    produces="dataset",
    follows="judge",
    summary="Keep the rows that a model solves often enough, or that a judge accepts.",
)
