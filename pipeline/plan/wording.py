"""A plain sentence for a claim that gives no text of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipeline.design import chosen_levels
from pipeline.spec.claims import ClaimSpec


def describe_claim(claim: ClaimSpec, metric: str) -> str:
    """Quantity, comparison, margin, in words."""
    subject = f"{metric} of {_cells(claim.of)}"
    if claim.minus is not None:
        subject = f"{subject} minus that of {_cells(claim.minus)}"
    elif claim.relative_to is not None:
        subject = f"{subject} relative to that of {_cells(claim.relative_to)}"
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
    word, other = ("above", claim.above) if claim.above is not None else ("below", claim.below)
    if claim.times is not None:
        return f"{subject} is {word} {claim.times:g} × that of {_cells(other)}"
    margin = (
        f" by more than {claim.by:g}"
        if claim.by > 0
        else f" or at most {-claim.by:g} worse"
        if claim.by < 0
        else ""
    )
    matched = f" at equal {claim.matched}" if claim.matched is not None else ""
    return f"{subject} is {word} that of {_cells(other)}{margin}{matched}"


def _along(along: Any) -> str:
    return along if isinstance(along, str) else next(iter(along), "")


def _cells(selector: Mapping[str, Any]) -> str:
    words = (f"{factor}={_value(value)}" for factor, value in sorted(selector.items()))
    return ", ".join(words) or "all cells"


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return " ".join(f"{word} {_value(inner)}" for word, inner in value.items())
    return "/".join(chosen_levels(value))
