"""What a claim is about, as a small expression: means of measurements, and what is made from them.

Leaves are a mean of a metric over units, a stretch of a training curve, a count of a data set's record.
Above them stand sums, ratios, the largest or smallest of several, the first level that reaches a target, and
the distance between two frontiers. Plain, frozen values: the planner writes them, the report evaluates them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Discriminator

from pipeline.request.metrics import ResponseMetric
from pipeline.request.strict import Strict

Pick = Literal["max", "min"]


@dataclass(frozen=True, kw_only=True)
class Mean(Strict):
    """The macro mean of a metric over units (indices into Request.units)."""

    metric: ResponseMetric
    units: tuple[int, ...]
    kind: Literal["mean"] = "mean"


@dataclass(frozen=True, kw_only=True)
class Curve(Strict):
    """A logged column of runs (indices into Request.runs) over the steps first to last: mean, least or most."""

    column: str
    runs: tuple[int, ...]
    first: int | None = None
    last: int | None = None
    pick: Literal["mean", "max", "min"] = "mean"
    kind: Literal["curve"] = "curve"


@dataclass(frozen=True, kw_only=True)
class Fact(Strict):
    """A count in a data artifact's record, as a share of the rows (`problems_…`: of the problems) that came in."""

    name: str
    key: str
    fact: str
    kind: Literal["fact"] = "fact"

    @property
    def is_of_problems(self) -> bool:
        """Whether it counts problems; a model's rows may be several per problem."""
        return self.fact.startswith("problems_")

    @property
    def reason(self) -> str | None:
        """Why the rows were dropped that `dropped.REASON` counts; None for other counts."""
        return self.fact.removeprefix("dropped.") if self.fact.startswith("dropped.") else None


@dataclass(frozen=True, kw_only=True)
class Sum(Strict):
    """A weighted sum: differences, differences of differences, slopes."""

    terms: tuple[tuple[float, Quantity], ...]
    kind: Literal["sum"] = "sum"


@dataclass(frozen=True, kw_only=True)
class Ratio(Strict):
    """One quantity relative to another."""

    top: Quantity
    bottom: Quantity
    kind: Literal["ratio"] = "ratio"


@dataclass(frozen=True, kw_only=True)
class Extreme(Strict):
    """The largest or the smallest of several, picked anew in every draw: the selection is part of the noise."""

    pick: Pick
    among: tuple[Quantity, ...]
    kind: Literal["extreme"] = "extreme"


@dataclass(frozen=True, kw_only=True)
class First(Strict):
    """The position (from 1) of the first level that is at least target + by; one more than the last if none."""

    levels: tuple[Quantity, ...]
    target: Quantity
    by: float = 0.0
    kind: Literal["first"] = "first"


@dataclass(frozen=True, kw_only=True)
class Frontier(Strict):
    """How far one family of points (x, y) lies above another, on average over the x that both reach."""

    ours: tuple[tuple[Quantity, Quantity], ...]
    theirs: tuple[tuple[Quantity, Quantity], ...]
    kind: Literal["frontier"] = "frontier"


Leaf = Mean | Curve | Fact
AnyQuantity = Leaf | Sum | Ratio | Extreme | First | Frontier
Quantity = Annotated[AnyQuantity, Discriminator("kind")]
"""The same, as a field of a request."""


def subtract(left: AnyQuantity, right: AnyQuantity) -> Sum:
    """left − right."""
    return Sum(terms=((1.0, left), (-1.0, right)))


def children(quantity: AnyQuantity) -> tuple[AnyQuantity, ...]:
    """The quantities directly below one."""
    match quantity:
        case Sum():
            return tuple(q for _, q in quantity.terms)
        case Ratio():
            return quantity.top, quantity.bottom
        case Extreme():
            return quantity.among
        case First():
            return (*quantity.levels, quantity.target)
        case Frontier():
            return tuple(q for pair in (*quantity.ours, *quantity.theirs) for q in pair)
    return ()


def leaves(quantity: AnyQuantity) -> Iterator[Leaf]:
    """Every mean, curve and fact in a quantity, in order, with repetition."""
    if isinstance(quantity, Leaf):
        yield quantity
    for child in children(quantity):
        yield from leaves(child)


def holds(quantity: AnyQuantity, kind: type[AnyQuantity]) -> bool:
    """Whether a quantity is, or has below it, one of a kind."""
    return isinstance(quantity, kind) or any(holds(child, kind) for child in children(quantity))


def is_closed(quantity: AnyQuantity) -> bool:
    """Whether a quantity has a closed interval: a weighted sum of leaves, or a ratio of two; others are drawn."""
    sides = (quantity.top, quantity.bottom) if isinstance(quantity, Ratio) else (quantity,)
    return all(as_linear(side) is not None for side in sides)


def as_linear(quantity: AnyQuantity) -> dict[Leaf, float] | None:
    """Leaf → weight where the quantity is a weighted sum of leaves; None where it is not."""
    if isinstance(quantity, Leaf):
        return {quantity: 1.0}
    if not isinstance(quantity, Sum):
        return None
    weights: dict[Leaf, float] = {}
    for weight, child in quantity.terms:
        below = as_linear(child)
        if below is None:
            return None
        for leaf, own in below.items():
            weights[leaf] = weights.get(leaf, 0.0) + weight * own
    return weights
