"""A plain sentence for a claim that gives no text of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pipeline.plan.cells import chosen_levels
from pipeline.spec.claims import ClaimSpec

METRIC = "metric"


def describe_claim(claim: ClaimSpec, metric: str, name_metric: Callable[[Any], str | None]) -> str:
    """Quantity, comparison, margin, in words; `name_metric` names the metric that a selector gives for itself."""

    def other(selector: Mapping[str, Any]) -> str:
        if METRIC not in selector:
            return f"that of {_cells(selector)}"
        return _own(name_metric(selector[METRIC]), selector)

    own = name_metric(claim.of[METRIC]) if METRIC in claim.of else metric
    is_bare = METRIC in claim.of or metric.startswith("data.")
    subject = _own(own, claim.of) if is_bare else f"{metric} of {_cells(claim.of)}"
    if claim.minus is not None:
        subject = f"{subject} minus {other(claim.minus)}"
    elif claim.relative_to is not None:
        subject = f"{subject} relative to {other(claim.relative_to)}"
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
    word, side = ("above", claim.above) if claim.above is not None else ("below", claim.below)
    if claim.times is not None:
        return f"{subject} is {word} {claim.times:g} × {other(side)}"
    margin = (
        f" by more than {claim.by:g}"
        if claim.by > 0
        else f" or at most {-claim.by:g} worse"
        if claim.by < 0
        else ""
    )
    matched = f" at equal {claim.matched}" if claim.matched is not None else ""
    return f"{subject} is {word} {other(side)}{margin}{matched}"


def _own(metric: str | None, selector: Mapping[str, Any]) -> str:
    """A metric that a selector names itself, of its cells where it names some."""
    rest = {factor: value for factor, value in selector.items() if factor != METRIC}
    return f"{metric} of {_cells(rest)}" if rest else f"{metric}"


def _along(along: Any) -> str:
    return along if isinstance(along, str) else next(iter(along), "")


def _cells(selector: Mapping[str, Any]) -> str:
    words = (f"{factor}={_value(value)}" for factor, value in sorted(selector.items()))
    return ", ".join(words) or "all cells"


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return " ".join(f"{word} {_value(inner)}" for word, inner in value.items())
    return "/".join(chosen_levels(value))
