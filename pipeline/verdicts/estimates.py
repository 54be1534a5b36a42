"""A quantity with its interval: closed where it is linear or a ratio of linear ones, else drawn."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import numpy as np

from pipeline.request.quantities import (
    AnyQuantity,
    Curve,
    Extreme,
    Fact,
    First,
    Frontier,
    Leaf,
    Mean,
    Ratio,
    Sum,
    as_linear,
    holds,
    leaves,
)
from pipeline.verdicts.bootstrap import DrawnEstimate, interpolate_gap, simulate
from pipeline.verdicts.fieller import FiellerRatio
from pipeline.verdicts.intervals import Estimate
from pipeline.verdicts.paired import Array, Side, add_arrays, estimate_linear, estimate_mean

_PickMode = Literal["as drawn", "all equal", "fixed"]
AnyEstimate = Estimate | FiellerRatio | DrawnEstimate


def estimate_quantity(quantity: AnyQuantity, sides: Mapping[Leaf, Side]) -> AnyEstimate:
    """A quantity with its interval: closed where it is linear or a ratio of linear ones, else drawn."""
    weights = as_linear(quantity)
    if weights is not None:
        return estimate_linear([(weight, sides[leaf]) for leaf, weight in weights.items()])
    if isinstance(quantity, Ratio):
        top, bottom = as_linear(quantity.top), as_linear(quantity.bottom)
        if top is not None and bottom is not None:
            return FiellerRatio(
                tuple((w, sides[leaf]) for leaf, w in top.items()),
                tuple((w, sides[leaf]) for leaf, w in bottom.items()),
            )
    order = list(dict.fromkeys(leaves(quantity)))
    centre = {leaf: estimate_mean(sides[leaf]).value for leaf in order}

    def evaluation(pick: _PickMode) -> Callable[[Sequence[Array]], Array]:
        return lambda means: _evaluate(quantity, dict(zip(order, means, strict=True)), centre, pick)

    if not holds(quantity, Extreme):
        return simulate([sides[leaf] for leaf in order], evaluation("as drawn"))
    modes = (evaluation("all equal"), evaluation("fixed"))
    return simulate([sides[leaf] for leaf in order], *modes, reflect=True)


def _evaluate(
    quantity: AnyQuantity, means: Mapping[Leaf, Array], centre: Mapping[Leaf, float], pick: _PickMode
) -> Array:
    """A quantity from the means of its leaves, draw by draw; `centre` are the estimates themselves."""

    def below(child: AnyQuantity) -> Array:
        return _evaluate(child, means, centre, pick)

    match quantity:
        case Sum():
            return add_arrays(weight * below(q) for weight, q in quantity.terms)
        case Ratio():
            top, bottom = below(quantity.top), below(quantity.bottom)
            return np.where(bottom > 0, top / np.where(bottom > 0, bottom, 1.0), np.nan)
        case Extreme():
            return _pick_extreme(quantity, [below(q) for q in quantity.among], centre, pick)
        case First():
            target = below(quantity.target) + quantity.by
            gaps = np.array([below(q) - target for q in quantity.levels])
            first = np.where((gaps >= 0).any(axis=0), (gaps >= 0).argmax(axis=0), len(quantity.levels)) + 1.0
            return np.where(np.isnan(gaps).any(axis=0), np.nan, first)
        case Frontier():
            ours, theirs = (
                [(below(x), below(y)) for x, y in family] for family in (quantity.ours, quantity.theirs)
            )
            return interpolate_gap(ours, theirs)
        case Mean() | Curve() | Fact():
            return means[quantity]


def _pick_extreme(
    quantity: Extreme, drawn: Sequence[Array], centre: Mapping[Leaf, float], pick: _PickMode
) -> Array:
    """The largest (smallest) of several: the data's pick in every draw, or as if all were equally good."""
    plain = {leaf: np.array([value]) for leaf, value in centre.items()}
    centres = [float(_evaluate(q, plain, centre, "as drawn")[0]) for q in quantity.among]
    if pick == "fixed":
        return drawn[int(np.argmax(centres) if quantity.pick == "max" else np.argmin(centres))]
    best = np.maximum if quantity.pick == "max" else np.minimum
    if pick == "as drawn":
        return np.asarray(best.reduce(drawn))
    noise = [values - own for values, own in zip(drawn, centres, strict=True)]
    return np.asarray(best.reduce(centres) + best.reduce(noise))
