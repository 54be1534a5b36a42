"""A claim read: its selectors checked against the study, its metrics parsed, so that nothing after has to ask again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.errors import shown, suggest
from pipeline.locate import PathTuple
from pipeline.plan.cells import STEP, check_selector, chosen_levels
from pipeline.plan.request.metrics import Metrics, is_share
from pipeline.request.figures import MEASURE
from pipeline.request.metrics import AnyMetric
from pipeline.spec.claims import ClaimSpec
from pipeline.spec.levels import Problems
from pipeline.spec.study import Study

METRIC = "metric"
PICKS = ("max", "min")
STRETCH = ("from", "to")
SIDES = ("of", "minus", "relative_to", "above", "below", "where")

ReadSelector = Mapping[str, Any]
"""A selector of a claim as it is written, but for its `metric`, which is parsed."""
Along = str | Mapping[str, Sequence[Any]]
"""A factor, or {factor: [levels in order]}."""


def is_pick(value: Any) -> bool:
    """Whether a selector's value is {max: …} or {min: …}."""
    return isinstance(value, Mapping) and len(value) == 1 and next(iter(value)) in PICKS


def is_stretch(value: Any) -> bool:
    """Whether a selector's value is {from: a, to: b}, either of which may be absent."""
    return isinstance(value, Mapping) and set(value) <= set(STRETCH) and all(
        isinstance(v, int) and not isinstance(v, bool) for v in value.values()
    )  # fmt: skip


def listed(value: Any) -> Any:
    """The levels of a pick, or the value itself."""
    return next(iter(value.values())) if is_pick(value) else value


@dataclass(frozen=True)
class Order:
    """A factor (or step) with its levels in the order of a trend."""

    factor: str
    levels: tuple[Any, ...]


@dataclass(frozen=True)
class ReadFirst:
    """Where the first level along a factor is asked for that reaches other cells."""

    along: Order
    reaches: ReadSelector
    by: float


@dataclass(frozen=True, kw_only=True)
class ReadClaim:
    """A claim whose every name is known; `spec` is what was written, for its numbers and words."""

    spec: ClaimSpec
    metric: AnyMetric
    of: ReadSelector
    where: ReadSelector
    minus: ReadSelector | None
    relative_to: ReadSelector | None
    above: ReadSelector | None
    below: ReadSelector | None
    order: tuple[ReadSelector, ...]
    along: Order | None
    first: ReadFirst | None
    matched: AnyMetric | None

    @property
    def shown_metric(self) -> AnyMetric:
        """The metric that names the axis: that of `where`, `of` or all cells of an order, where they have their own."""
        of: AnyMetric = self.of.get(METRIC, self.where.get(METRIC, self.metric))
        ordered = {selector.get(METRIC, of) for selector in self.order}
        return ordered.pop() if len(ordered) == 1 else of


class ClaimReader:
    """Reads the claims of one study; what is wrong is noted at its place."""

    def __init__(self, study: Study, problems: Problems, metrics: Metrics) -> None:
        self.study = study
        self.problems = problems
        self.metrics = metrics

    def read(self, claim: ClaimSpec, path: PathTuple) -> ReadClaim | None:
        """The claim with its metrics; None after noting unknown names and contradictions."""
        before = len(self.problems)
        sides: dict[str, ReadSelector | None] = {}
        for side in SIDES:
            sides[side] = self._read_side(getattr(claim, side), claim, (*path, side))
        order = [
            self._read_side(selector, claim, (*path, "order", i))
            for i, selector in enumerate(claim.order or ())
        ]
        first = along = None
        if claim.first is not None:
            reaches = self._read_selector(claim.first.reaches, (*path, "first", "reaches"))
            self._check_along(claim.first.along, (*path, "first", "along"))
            first = ReadFirst(self._order_along(claim.first.along), reaches, claim.first.by)
        if claim.along is not None:
            self._check_along(claim.along, (*path, "along"))
            along = self._order_along(claim.along)
        matched = None
        if claim.matched is not None:
            matched = self.metrics.read(claim.matched, (*path, "matched"))
        self._check_each(claim, path)
        self._check_measures(claim, path)
        metric = self.metrics.read(claim.metric, (*path, "metric"), list_measures(claim))
        if metric is not None and is_share(metric):
            self._check_shares(claim, path, metric)
        if len(self.problems) > before or metric is None:
            return None
        return ReadClaim(
            spec=claim,
            metric=metric,
            of=sides["of"] or {},
            where=sides["where"] or {},
            minus=sides["minus"],
            relative_to=sides["relative_to"],
            above=sides["above"],
            below=sides["below"],
            order=tuple(selector or {} for selector in order),
            along=along,
            first=first,
            matched=matched,
        )

    def _read_side(
        self, selector: Mapping[str, Any] | None, claim: ClaimSpec, path: PathTuple
    ) -> ReadSelector | None:
        if not selector:
            return selector
        if path[-1] != "where":
            self._check_within(selector, claim.where, path)
        return self._read_selector(selector, path)

    def _read_selector(self, selector: Mapping[str, Any], path: PathTuple) -> ReadSelector:
        """A selector with its metric parsed; unknown factors, levels, measures and malformed picks are noted."""
        read = {key: value for key, value in selector.items() if key != METRIC}
        factors: dict[str, Any] = {}
        picked = [key for key, value in selector.items() if is_pick(value)]
        for key in picked[1:]:
            self.problems.add(
                (*path, key),
                "a selector picks the largest or smallest twice",
                "Keep one max or min.",
                key=True,
            )
        for key, value in selector.items():
            if key == MEASURE:
                for name in chosen_levels(listed(value)):
                    self._check_measure(name, (*path, key))
                if listed(value) == ():
                    self.problems.add(
                        (*path, key), "no measure is listed", "Name one, or leave it out for all."
                    )
            elif key == METRIC:
                if (metric := self.metrics.read(value, (*path, key))) is not None:
                    read[key] = metric
            elif key == STEP:
                self._check_step(value, (*path, key))
            elif isinstance(value, Mapping) and not (is_pick(value) and isinstance(listed(value), tuple)):
                self.problems.add(
                    (*path, key),
                    f"{key}: it should be a level, a list of levels or a pick",
                    "Write {max: [a, b]}.",
                )
            else:
                factors[key] = listed(value)
        check_selector(self.study, factors, path, self.problems, steps=True)
        return read

    def _order_along(self, along: Along) -> Order:
        """The factor that a trend follows, and its levels in order."""
        if isinstance(along, str):
            known = self.study.factors.get(along)
            return Order(along, () if known is None else tuple(known.levels))
        factor, levels = next(iter(along.items()), ("", ()))
        if factor == STEP:
            return Order(factor, tuple(levels))
        return Order(factor, tuple(name for level in levels for name in chosen_levels(level)))

    def _check_measure(self, name: str, path: PathTuple) -> None:
        known = self.study.spec.measure
        if name not in known and not self.problems.is_broken("measure", name):
            self.problems.add(path, f"measure {name!r} is unknown", suggest(name, known))

    def _check_measures(self, claim: ClaimSpec, path: PathTuple) -> None:
        measures = list_measures(claim)
        for i, measure in enumerate(measures):
            place = (*path, MEASURE) if isinstance(claim.measure, str) else (*path, MEASURE, i)
            self._check_measure(measure, place)
            if measure in measures[:i]:
                self.problems.add(place, f"measure {measure!r} is named twice", "Remove one.")

    def _check_step(self, value: Any, path: PathTuple) -> None:
        inner = listed(value)
        steps = inner if isinstance(inner, tuple) else (inner,)
        is_list = inner is None or (bool(steps) and all(type(step) is int for step in steps))
        if is_stretch(inner):
            is_list = inner.get("from", 0) <= inner.get("to", inner.get("from", 0))
        if not is_list:
            self.problems.add(
                path,
                f"step: {shown(value)} is no step",
                "Write 100, [50, 100], {max: [50, 100]} or {from: 1, to: 10}.",
            )

    def _check_shares(self, claim: ClaimSpec, path: PathTuple, metric: AnyMetric) -> None:
        """Note a bound that no share can reach: 60 where 0.6 is meant."""
        sides = [getattr(claim, side) or {} for side in SIDES] + list(claim.order or ())
        if claim.relative_to is not None or claim.first is not None or any(METRIC in side for side in sides):
            return
        bounds: dict[PathTuple, float | None] = {
            (word,): getattr(claim, word) for word in ("at_least", "at_most", "by")
        }
        bounds |= {("between", i): value for i, value in enumerate(claim.between or ())}
        for place, value in bounds.items():
            if value is not None and abs(value) > 1:
                what = f"{metric.name} is a share between 0 and 1, and {value:g} is none"
                self.problems.add((*path, *place), what, f"Write {value / 100:g} for {value:g} %.")

    def _check_within(self, selector: Mapping[str, Any], where: Mapping[str, Any], path: PathTuple) -> None:
        """Note a level of one side that `where`, which restricts all sides, leaves out."""
        for factor, value in selector.items():
            if factor not in where or factor not in self.study.factors or isinstance(where[factor], Mapping):
                continue
            left_out = set(chosen_levels(listed(value))) - set(chosen_levels(where[factor]))
            if left_out:
                what = f"{path[2]} names {factor}: {', '.join(sorted(left_out))}, and where leaves it out"
                self.problems.add(
                    (*path, factor), what, f"Change one of the two, or take {factor!r} out of where."
                )

    def _check_each(self, claim: ClaimSpec, path: PathTuple) -> None:
        sides = [getattr(claim, side) or {} for side in SIDES if side != "where"] + list(claim.order or ())
        for i, factor in enumerate(claim.for_each):
            if factor != MEASURE and factor not in self.study.factors:
                known = [*self.study.factors, MEASURE]
                self.problems.add(
                    (*path, "for_each"), f"factor {factor!r} is unknown", suggest(factor, known)
                )
            elif factor in claim.for_each[:i]:
                self.problems.add((*path, "for_each", i), f"factor {factor!r} is named twice", "Remove one.")
            elif any(factor in side for side in sides) or (factor == MEASURE and claim.measure is not None):
                self.problems.add(
                    (*path, "for_each", i),
                    f"factor {factor!r} is fixed by the claim and also in for_each",
                    "Remove it from one of the two.",
                )

    def _check_along(self, along: Along, path: PathTuple) -> None:
        if not isinstance(along, str) and len(along) != 1:
            self.problems.add(path, f"along names {len(along)} factors", "Write {FACTOR: [levels in order]}.")
            return
        order = self._order_along(along)
        factor, levels = order.factor, order.levels
        before = len(self.problems)
        if factor == STEP and isinstance(along, str):
            self.problems.add(
                path, "the steps of a trend are not listed", "Write along: {step: [50, 100, 150]}."
            )
        elif factor != STEP and factor not in self.study.factors:
            if not self.problems.is_broken("factors", factor):
                known = [*self.study.factors, STEP]
                self.problems.add(path, f"factor {factor!r} is unknown", suggest(factor, known))
        elif levels or isinstance(along, str):
            self._read_selector({factor: levels}, path)
        if len(self.problems) > before:
            return
        if len(levels) < 2:
            what = f"{factor!r} has fewer than two levels here: there is no order"
            self.problems.add(path, what, "List two or more.")
        elif len(set(levels)) < len(levels):
            self.problems.add(path, f"a level of {factor!r} is listed twice", "Name each once, in order.")


def list_measures(claim: ClaimSpec) -> tuple[str, ...]:
    """The measures that a claim is about; none where it is about all."""
    if claim.measure is None:
        return ()
    return (claim.measure,) if isinstance(claim.measure, str) else claim.measure
