"""A plain sentence for a claim that gives no text of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipeline.plan.cells import chosen_levels
from pipeline.plan.request.read_claim import METRIC, ReadClaim, ReadSelector
from pipeline.request.metrics import Count


def describe_claim(read: ReadClaim) -> str:
    """Quantity, comparison, margin, in words."""
    claim, metric = read.spec, read.metric.name
    is_bare = METRIC in read.of or isinstance(read.metric, Count)
    subject = _own(read.of, metric) if is_bare else f"{read.shown_metric.name} of {_cells(claim.of)}"
    if read.minus is not None:
        subject = f"{subject} minus {_other(read.minus)}"
    elif read.relative_to is not None:
        subject = f"{subject} relative to {_other(read.relative_to)}"
    elif claim.first is not None:
        subject = f"the first level along {_along(claim.first.along)} where {metric} reaches {_cells(claim.first.reaches)}"
    if claim.at_least is not None:
        return f"{subject} is at least {claim.at_least:g}"
    if claim.at_most is not None:
        return f"{subject} is at most {claim.at_most:g}"
    if claim.between is not None:
        return f"{subject} is between {claim.between[0]:g} and {claim.between[1]:g}"
    if claim.order is not None:
        return f"{subject}: {' < '.join(_cells(selector) for selector in claim.order)}"
    if claim.trend is not None:
        tolerance = f" by more than {claim.by:g}" if claim.by else ""
        return f"{subject} {claim.trend}{tolerance} along {_along(claim.along)}"
    word, side = ("above", read.above) if read.above is not None else ("below", read.below or {})
    if claim.times is not None:
        return f"{subject} is {word} {claim.times:g} × {_other(side)}"
    margin = (
        f" by more than {claim.by:g}"
        if claim.by > 0
        else f" or at most {-claim.by:g} worse"
        if claim.by < 0
        else ""
    )
    matched = f" at equal {claim.matched}" if claim.matched is not None else ""
    return f"{subject} is {word} {_other(side)}{margin}{matched}"


def _other(selector: ReadSelector) -> str:
    """The side that is compared with."""
    return _own(selector, "") if METRIC in selector else f"that of {_cells(selector)}"


def _own(selector: ReadSelector, metric: str) -> str:
    """The metric that a selector names itself, else that of the claim; of its cells where it names some."""
    name = selector[METRIC].name if METRIC in selector else metric
    rest = {factor: value for factor, value in selector.items() if factor != METRIC}
    return f"{name} of {_cells(rest)}" if rest else f"{name}"


def _along(along: Any) -> str:
    return along if isinstance(along, str) else next(iter(along), "")


def _cells(selector: Mapping[str, Any]) -> str:
    words = (f"{factor}={_value(value)}" for factor, value in sorted(selector.items()))
    return ", ".join(words) or "all cells"


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return " ".join(f"{word} {_value(inner)}" for word, inner in value.items())
    return "/".join(chosen_levels(value))
