"""A claim as the planner hands it over: comparisons of quantities, each with what it is held against.

Refused: a part that is about nothing or about two things, one without a comparison, a range with one end.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pipeline.errors import InputError
from pipeline.request.metrics import Metric
from pipeline.request.quantities import Mean, Quantity, leaves
from pipeline.request.strict import Strict

Kind = Literal["above", "below", "at_least", "at_most", "between"]
Scale = Literal["difference", "level", "ratio", "ratio difference", "levels"]


@dataclass(frozen=True, kw_only=True)
class Part(Strict):
    """One comparison of a claim.

    A plain one compares the means a of `left` and b of `right` (indices into Request.units):
    above: a > times·b + by;  below: a < times·b − by;  at_least: a ≥ value + by;  at_most: a ≤ value − by;
    between: value ≤ a ≤ high. Either `right` or `value` is given; with `value`, it stands in the place of
    times·b for every kind. Any other comparison holds an `effect` against `value` (and `high`) alike.
    """

    label: str
    kind: Kind
    left: tuple[int, ...] = ()
    right: tuple[int, ...] = ()
    by: float = 0.0
    times: float | None = None
    value: float | None = None
    high: float | None = None
    effect: Quantity | None = None
    scale: Scale = "difference"

    def __post_init__(self) -> None:
        if bool(self.left) == (self.effect is not None):
            raise InputError(
                f"claim part {self.label!r} is about no measurement, or about two things",
                "Give it either units on the left or an effect.",
            )
        if bool(self.right) == (self.value is not None):
            raise InputError(
                f"claim part {self.label!r} needs exactly one of other units and a value",
                "Give `right` or `value`.",
            )
        if (self.kind == "between") != (self.high is not None):
            raise InputError(f"claim part {self.label!r}: `high` belongs to between", "Give both or none.")

    @property
    def claims_larger(self) -> bool:
        """Whether the claim is that the left side lies above the threshold."""
        return self.kind in ("above", "at_least", "between")

    @property
    def threshold(self) -> float:
        """What the effect a − times·b (or a − value) is compared with."""
        return self.by if self.claims_larger else 0.0 - self.by

    @property
    def indices(self) -> tuple[int, ...]:
        """All units that the part is about."""
        below = () if self.effect is None else leaves(self.effect)
        return (*self.left, *self.right, *(i for q in below if isinstance(q, Mean) for i in q.units))


@dataclass(frozen=True, kw_only=True)
class CompiledClaim(Strict):
    """A statement of the study with its comparisons, one per level of `for_each` and per neighbour of an order."""

    name: str
    text: str
    metric: Metric
    parts: tuple[Part, ...]
    published: str | None = None
