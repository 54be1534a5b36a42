"""The parts of one claim: its quantity at each side, level or neighbour, and what it is held against."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from typing import Any, Literal, TypeVar

from pipeline.locate import PathTuple
from pipeline.plan.cells import STEP, chosen_levels
from pipeline.plan.request.quantities import Quantities
from pipeline.plan.request.read_claim import METRIC, Order, ReadClaim, ReadFirst, ReadSelector, is_pick
from pipeline.request.claims import Kind, Part, Scale
from pipeline.request.metrics import AnyMetric
from pipeline.request.quantities import AnyQuantity, First, Frontier, Mean, Ratio, Sum, subtract
from pipeline.spec.claims import Trend

T = TypeVar("T")

HALF_LEVEL = 0.5
"""Positions of levels are whole numbers: half of one is the margin between `less` and `not more`."""


class ClaimParts:
    """The parts of one claim at one combination of the levels of `for_each`."""

    def __init__(
        self, quantities: Quantities, claim: ReadClaim, fixed: Mapping[str, str], path: PathTuple
    ) -> None:
        self.quantities = quantities
        self.claim = claim
        self.spec = claim.spec
        self.fixed = fixed
        self.path = path
        self.label = ", ".join(f"{f}={v}" for f, v in fixed.items()) or "all"

    @property
    def _scale(self) -> Scale:
        """What the claim's quantity is: a ratio, the position of a level, a difference, or a level."""
        if self.claim.relative_to is not None:
            return "ratio"
        if self.claim.first is not None:
            return "levels"
        return "difference" if self.claim.minus is not None else "level"

    @property
    def _scale_of_changes(self) -> Scale:
        """What the difference of two such quantities is."""
        if self._scale == "ratio":
            return "ratio difference"
        return "levels" if self._scale == "levels" else "difference"

    def parts(self) -> list[Part] | None:
        """Every comparison, or None after noting what is wrong."""
        claim, spec = self.claim, self.spec
        if claim.matched is not None:
            return self._frontier(claim.matched)
        if claim.order:
            return self._order()
        if claim.along is not None and spec.trend is not None:
            return self._trend(claim.along, spec.trend)
        left = self.quantity({}, ("of",))
        if claim.above is not None:
            return _all_of(
                [self._contrast("above", left, self.quantity(claim.above, ("above",)), "", ("above",))]
            )
        if claim.below is not None:
            return _all_of(
                [self._contrast("below", left, self.quantity(claim.below, ("below",)), "", ("below",))]
            )
        if left is None:
            return None
        if spec.between is not None:
            return [self._level("between", left, *spec.between)]
        if spec.at_least is not None:
            return [self._level("at_least", left, spec.at_least)]
        return [self._level("at_most", left, spec.at_most or 0.0)]

    def quantity(self, overlay: ReadSelector, place: PathTuple) -> AnyQuantity | None:
        """What the claim speaks of, with some levels replaced; None after noting what is wrong."""
        claim = self.claim
        if claim.first is not None:
            return self._first(claim.first, overlay, place)
        of = {f: v for f, v in claim.of.items() if f not in overlay and (f != STEP or not overlay)}
        if STEP in claim.of and STEP not in overlay and (not overlay or place[0] in ("order", "along")):
            of[STEP] = claim.of[STEP]
        top = self._one({**of, **overlay}, place)
        base = claim.minus if claim.minus is not None else claim.relative_to
        if base is None or top is None:
            return top
        word = "minus" if claim.minus is not None else "relative_to"
        rest = {f: v for f, v in {**of, **overlay}.items() if f not in base and f != STEP}
        bottom = self._one({**rest, **base}, (word,))
        if bottom is None:
            return None
        if top == bottom:
            self._note_same((word,))
            return None
        return subtract(top, bottom) if claim.minus is not None else Ratio(top=top, bottom=bottom)

    def _one(self, selector: ReadSelector, place: PathTuple) -> AnyQuantity | None:
        claim = self.claim
        return self.quantities.select(
            selector, claim.where, self.fixed, claim.metric, self.spec.measure, (*self.path, *place)
        )

    def _first(self, first: ReadFirst, overlay: ReadSelector, place: PathTuple) -> First | None:
        factor = first.along.factor
        of = {f: v for f, v in {**self.claim.of, **overlay}.items() if f != factor}
        reached = chosen_levels(first.reaches[factor]) if factor in first.reaches else ()
        wanted = [level for level in first.along.levels if level not in reached]
        steps: list[AnyQuantity] | None = _all_of(
            [self._one({**of, factor: level}, place) for level in wanted]
        )
        rest = {f: v for f, v in of.items() if f not in first.reaches}
        target = self._one({**rest, **first.reaches}, ("first", "reaches"))
        if target is None or steps is None:
            return None
        return First(levels=tuple(steps), target=target, by=first.by)

    def _contrast(
        self, kind: Kind, left: AnyQuantity | None, right: AnyQuantity | None, label: str, place: PathTuple
    ) -> Part | None:
        """left above or below right; a plain one where both are means of the metric that the claim shows."""
        if left is None or right is None:
            return None
        if left == right:
            self._note_same(place)
            return None
        spec, label = self.spec, self._labelled(label)
        shown = self.claim.shown_metric
        if isinstance(left, Mean) and isinstance(right, Mean) and left.metric == right.metric == shown:
            return Part(
                label=label, kind=kind, left=left.units, right=right.units, by=spec.by, times=spec.times
            )
        effect = subtract(left, right)
        if spec.times is not None:
            effect = Sum(terms=((1.0, left), (-spec.times, right)))
        return Part(
            label=label, kind=kind, effect=effect, value=0.0, by=spec.by, scale=self._scale_of_changes
        )

    def _level(self, kind: Kind, quantity: AnyQuantity, low: float, high: float | None = None) -> Part:
        """A quantity against a number or a range."""
        if isinstance(quantity, Mean) and quantity.metric == self.claim.shown_metric:
            return Part(label=self.label, kind=kind, left=quantity.units, value=low, high=high)
        if (
            isinstance(quantity, Ratio)
            and isinstance(quantity.top, Mean)
            and isinstance(quantity.bottom, Mean)
            and quantity.top.metric == quantity.bottom.metric == self.claim.shown_metric
            and high is None
            and low > 0
        ):
            return Part(
                label=self.label, kind=kind, left=quantity.top.units, right=quantity.bottom.units, times=low
            )
        return Part(label=self.label, kind=kind, effect=quantity, value=low, high=high, scale=self._scale)

    def _order(self) -> list[Part] | None:
        """Each of the cells less than the next."""
        order = self.claim.order
        names = [_short(selector) for selector in order]
        found = [self.quantity(selector, ("order", i)) for i, selector in enumerate(order)]
        return _all_of(
            self._contrast("below", a, b, f"{x} < {y}", ("order", i))
            for i, ((a, b), (x, y)) in enumerate(
                zip(itertools.pairwise(found), itertools.pairwise(names), strict=True)
            )
        )

    def _trend(self, along: Order, trend: Trend) -> list[Part] | None:
        levels = along.levels
        steps: list[AnyQuantity] | None = _all_of(
            [self.quantity({along.factor: level}, ("along",)) for level in levels]
        )
        if steps is None:
            return None
        direction: Literal["above", "below"] = "above" if "rise" in trend else "below"
        if trend in ("rises", "falls"):
            middle = (len(steps) - 1) / 2
            spread = sum((i - middle) ** 2 for i in range(len(steps)))
            slope = Sum(terms=tuple(((i - middle) / spread, q) for i, q in enumerate(steps)))
            label = self._labelled(f"slope per level, {levels[0]} to {levels[-1]}")
            return [Part(label=label, kind=direction, effect=slope, value=0.0, scale=self._scale_of_changes)]
        pairs = zip(itertools.pairwise(steps), itertools.pairwise(levels), strict=True)
        if "at every step" in trend:
            return _all_of(
                [self._contrast(direction, b, a, f"{x} → {y}", ("along",)) for (a, b), (x, y) in pairs]
            )
        margin = max(self.spec.by, HALF_LEVEL) if self.claim.first is not None else self.spec.by
        kind: Kind = "at_most" if direction == "above" else "at_least"
        return [
            Part(
                label=self._labelled(f"{x} → {y}"),
                kind=kind,
                effect=subtract(b, a),
                value=margin if kind == "at_most" else -margin,
                scale=self._scale_of_changes,
            )
            for (a, b), (x, y) in pairs
        ]

    def _frontier(self, matched: AnyMetric) -> list[Part] | None:
        claim = self.claim
        kind: Literal["above", "below"] = "above" if claim.above is not None else "below"
        other = (claim.above if claim.above is not None else claim.below) or {}
        kept = {f: v for f, v in claim.of.items() if f not in other and f != STEP}
        ours = self._points(claim.of, matched, "of")
        theirs = None if ours is None else self._points({**kept, **other}, matched, kind)
        if ours is None or theirs is None:
            return None
        if ours == theirs:
            self._note_same((kind,))
            return None
        effect = Frontier(ours=ours, theirs=theirs)
        return [Part(label=self.label, kind=kind, effect=effect, value=0.0, by=self.spec.by)]

    def _points(
        self, selector: ReadSelector, matched: AnyMetric, place: str
    ) -> tuple[tuple[AnyQuantity, AnyQuantity], ...] | None:
        """(matched metric, metric) at every combination of the levels that a family lists."""
        listed = [f for f, v in selector.items() if isinstance(v, tuple)]
        points = []
        for levels in itertools.product(*(selector[f] for f in listed)):
            at = {**selector, **dict(zip(listed, levels, strict=True))}
            x, y = self._one({**at, METRIC: matched}, (place,)), self._one(at, (place,))
            if x is None or y is None:
                return None
            points.append((x, y))
        return tuple(points)

    def _labelled(self, label: str) -> str:
        return ", ".join(filter(None, (self.label if self.fixed or not label else "", label)))

    def _note_same(self, place: PathTuple) -> None:
        self.quantities.problems.add(
            (*self.path, *place), "both sides of the claim are the same cells", "Name a level that differs."
        )


def _all_of(found: Iterable[T | None]) -> list[T] | None:
    """All that were found, None where any was not."""
    items = list(found)
    kept = [item for item in items if item is not None]
    return kept if len(kept) == len(items) else None


def _short(selector: Mapping[str, Any]) -> str:
    """A selector of an order in a word or two."""
    return " ".join(
        "/".join(chosen_levels(v)) if not is_pick(v) else f"{next(iter(v))} of {f}"
        for f, v in selector.items()
        if f != METRIC
    )
