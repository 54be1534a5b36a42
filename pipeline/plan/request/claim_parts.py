"""The parts of one claim: its quantity at each side, level or neighbour, and what it is held against."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

from pipeline.locate import PathTuple
from pipeline.plan.cells import STEP, chosen_levels
from pipeline.plan.request.quantities import Quantities, is_pick
from pipeline.request.quantities import First, Frontier, Mean, Ratio, Sum, subtract
from pipeline.request.request import Kind, Part, Scale
from pipeline.spec.claims import ClaimSpec

HALF_LEVEL = 0.5
"""Positions of levels are whole numbers: half of one is the margin between `less` and `not more`."""


class ClaimParts:
    """The parts of one claim at one combination of the levels of `for_each`."""

    def __init__(
        self, quantities: Quantities, claim: ClaimSpec, metric: str, fixed: Mapping[str, str], path: PathTuple
    ) -> None:
        self.quantities = quantities
        self.claim = claim
        self.metric = metric
        self.fixed = fixed
        self.path = path
        self.label = ", ".join(f"{f}={v}" for f, v in fixed.items()) or "all"
        self.scale: Scale = (
            "ratio" if claim.relative_to is not None
            else "levels" if claim.first is not None
            else "difference" if claim.minus is not None
            else "level"
        )  # fmt: skip

    def parts(self) -> list[Part] | None:
        """Every comparison, or None after noting what is wrong."""
        claim = self.claim
        if claim.matched is not None:
            return self._frontier()
        if claim.order is not None:
            names = [_short(selector) for selector in claim.order]
            pairs = zip(
                enumerate(claim.order),
                enumerate(claim.order[1:], start=1),
                itertools.pairwise(names),
                strict=False,
            )
            found = [
                self._contrast(
                    "below",
                    self.quantity(a, ("order", i)),
                    self.quantity(b, ("order", j)),
                    f"{x} < {y}",
                    ("order", i),
                )
                for (i, a), (j, b), (x, y) in pairs
            ]
            return None if any(part is None for part in found) else found
        if claim.trend is not None:
            return self._trend()
        kind: Kind = next(
            k for k in ("above", "below", "at_least", "at_most", "between") if getattr(claim, k) is not None
        )
        left = self.quantity({}, ("of",))
        if kind in ("above", "below"):
            right = self.quantity(getattr(claim, kind), (kind,))
            part = self._contrast(kind, left, right, "", (kind,))
        else:
            part = None if left is None else self._level(kind, left)
        return None if part is None else [part]

    def quantity(self, overlay: Mapping[str, Any], place: PathTuple) -> Any:
        """What the claim speaks of, with some levels replaced; None after noting what is wrong."""
        claim = self.claim
        if claim.first is not None:
            return self._first(overlay, place)
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
            return self._note_same((word,))
        return subtract(top, bottom) if claim.minus is not None else Ratio(top=top, bottom=bottom)

    def _one(self, selector: Mapping[str, Any], place: PathTuple) -> Any:
        return self.quantities.select(
            selector, self.claim.where, self.fixed, self.metric, self.claim.measure, (*self.path, *place)
        )

    def _first(self, overlay: Mapping[str, Any], place: PathTuple) -> First | None:
        first = self.claim.first
        factor, levels = self.quantities.ordered_levels(first.along)
        of = {f: v for f, v in {**self.claim.of, **overlay}.items() if f != factor}
        reached = chosen_levels(first.reaches[factor]) if factor in first.reaches else ()
        wanted = [level for level in levels if level not in reached]
        steps = [self._one({**of, factor: level}, place) for level in wanted]
        rest = {f: v for f, v in of.items() if f not in first.reaches}
        target = self._one({**rest, **first.reaches}, ("first", "reaches"))
        if target is None or any(step is None for step in steps):
            return None
        return First(levels=tuple(steps), target=target, by=first.by)

    def _contrast(self, kind: Kind, left: Any, right: Any, label: str, place: PathTuple) -> Part | None:
        """left above or below right; a plain one where both are means of one metric."""
        if left is None or right is None:
            return None
        if left == right:
            return self._note_same(place)
        claim, label = self.claim, self._labelled(label)
        if isinstance(left, Mean) and isinstance(right, Mean) and left.metric == right.metric:
            return Part(
                label=label, kind=kind, left=left.units, right=right.units, by=claim.by, times=claim.times
            )
        effect: Any = subtract(left, right)
        if claim.times is not None:
            effect = Sum(terms=((1.0, left), (-claim.times, right)))
        scale: Scale = {"ratio": "ratio difference", "levels": "levels"}.get(self.scale, "difference")
        return Part(label=label, kind=kind, effect=effect, value=0.0, by=claim.by, scale=scale)

    def _level(self, kind: Kind, quantity: Any) -> Part:
        """A quantity against a number or a range."""
        claim = self.claim
        low, high = claim.between or (claim.at_least if kind == "at_least" else claim.at_most, None)
        if isinstance(quantity, Mean):
            return Part(label=self.label, kind=kind, left=quantity.units, value=low, high=high)
        is_plain = (
            isinstance(quantity, Ratio)
            and isinstance(quantity.top, Mean)
            and isinstance(quantity.bottom, Mean)
        )
        if is_plain and quantity.top.metric == quantity.bottom.metric and high is None and low > 0:
            return Part(
                label=self.label, kind=kind, left=quantity.top.units, right=quantity.bottom.units, times=low
            )
        return Part(label=self.label, kind=kind, effect=quantity, value=low, high=high, scale=self.scale)

    def _trend(self) -> list[Part] | None:
        claim = self.claim
        factor, levels = self.quantities.ordered_levels(claim.along)
        steps = [self.quantity({factor: level}, ("along",)) for level in levels]
        if any(step is None for step in steps):
            return None
        direction = "above" if "rise" in claim.trend else "below"
        if claim.trend in ("rises", "falls"):
            middle = (len(steps) - 1) / 2
            spread = sum((i - middle) ** 2 for i in range(len(steps)))
            slope = Sum(terms=tuple(((i - middle) / spread, q) for i, q in enumerate(steps)))
            return [self._slope(direction, slope, f"slope per level, {levels[0]} to {levels[-1]}")]
        pairs = zip(itertools.pairwise(steps), itertools.pairwise(levels), strict=True)
        if "at every step" in claim.trend:
            found = [self._contrast(direction, b, a, f"{x} → {y}", ("along",)) for (a, b), (x, y) in pairs]
            return None if any(part is None for part in found) else found
        margin = max(claim.by, HALF_LEVEL) if claim.first is not None else claim.by
        kind: Kind = "at_most" if direction == "above" else "at_least"
        value = margin if kind == "at_most" else -margin
        scale: Scale = {"ratio": "ratio difference", "levels": "levels"}.get(self.scale, "difference")
        return [
            Part(
                label=self._labelled(f"{x} → {y}"), kind=kind, effect=subtract(b, a), value=value, scale=scale
            )
            for (a, b), (x, y) in pairs
        ]

    def _slope(self, direction: Kind, slope: Sum, label: str) -> Part:
        scale: Scale = {"ratio": "ratio difference", "levels": "levels"}.get(self.scale, "difference")
        return Part(label=self._labelled(label), kind=direction, effect=slope, value=0.0, scale=scale)

    def _frontier(self) -> list[Part] | None:
        claim = self.claim
        kind: Kind = "above" if claim.above is not None else "below"
        families = []
        for selector, place in ((claim.of, "of"), ({**self._kept(kind), **getattr(claim, kind)}, kind)):
            points = self._points(selector, place)
            if points is None:
                return None
            families.append(tuple(points))
        if families[0] == families[1]:
            return self._note_same((kind,))
        effect = Frontier(ours=families[0], theirs=families[1])
        return [Part(label=self.label, kind=kind, effect=effect, value=0.0, by=claim.by)]

    def _kept(self, kind: str) -> dict[str, Any]:
        other = getattr(self.claim, kind)
        return {f: v for f, v in self.claim.of.items() if f not in other and f != STEP}

    def _points(self, selector: Mapping[str, Any], place: str) -> list[tuple[Any, Any]] | None:
        """(matched metric, metric) at every combination of the levels that a family lists."""
        listed = [f for f, v in selector.items() if isinstance(v, tuple)]
        points = []
        for levels in itertools.product(*(selector[f] for f in listed)):
            at = {**selector, **dict(zip(listed, levels, strict=True))}
            pair = (self._one({**at, "metric": self.claim.matched}, (place,)), self._one(at, (place,)))
            if None in pair:
                return None
            points.append(pair)
        return points

    def _labelled(self, label: str) -> str:
        return ", ".join(filter(None, (self.label if self.fixed or not label else "", label)))

    def _note_same(self, place: PathTuple) -> None:
        self.quantities.problems.add(
            (*self.path, *place), "both sides of the claim are the same cells", "Name a level that differs."
        )


def _short(selector: Mapping[str, Any]) -> str:
    """A selector of an order in a word or two."""
    return " ".join(
        "/".join(chosen_levels(v)) if not is_pick(v) else f"{next(iter(v))} of {f}"
        for f, v in selector.items()
        if f != "metric"
    )
