"""Claims of a study → comparisons of quantities, checked to refer to what some run produces."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

from pipeline.errors import suggest
from pipeline.locate import PathTuple
from pipeline.plan.cells import STEP, chosen_levels
from pipeline.plan.lower.cells import Lowered
from pipeline.plan.request.claim_parts import ClaimParts
from pipeline.plan.request.metrics import Metrics, is_share
from pipeline.plan.request.quantities import MEASURE, METRIC, Quantities, listed
from pipeline.plan.request.wording import describe_claim
from pipeline.request.request import CompiledClaim, Part
from pipeline.spec.claims import ClaimSpec
from pipeline.spec.levels import Problems

SIDES = ("of", "minus", "relative_to", "above", "below", "where")


def compile_claims(lowered: Lowered, problems: Problems, metrics: Metrics) -> tuple[CompiledClaim, ...]:
    """Every claim of a study with its parts; problems are noted where a claim cannot be decided."""
    compiler = _Compiler(lowered, problems, metrics)
    found = [compiler.compile(name, claim) for name, claim in lowered.study.spec.claims.items()]
    return tuple(claim for claim in found if claim is not None)


class _Compiler:
    def __init__(self, lowered: Lowered, problems: Problems, metrics: Metrics) -> None:
        self.study = lowered.study
        self.problems = problems
        self.metrics = metrics
        self.quantities = Quantities(lowered, problems, metrics)

    def compile(self, name: str, claim: ClaimSpec) -> CompiledClaim | None:
        path = ("claims", name)
        before = len(self.problems)
        self._check(claim, path)
        metric = self.metrics.name(claim.metric, (*path, "metric"), self._measures(claim))
        if metric is not None and is_share(metric):
            self._check_shares(claim, path, metric)
        if len(self.problems) > before or metric is None:
            return None
        parts: list[Part] = []
        for fixed in self._each(claim):
            found = ClaimParts(self.quantities, claim, metric, fixed, path).parts()
            if found is None:
                return None
            parts += found
        return CompiledClaim(
            name=name,
            text=claim.text or describe_claim(claim, metric, lambda own: self.metrics.name(own, ())),
            metric=self._shown_metric(claim, metric),
            parts=tuple(parts),
            published=claim.published,
        )

    def _shown_metric(self, claim: ClaimSpec, metric: str) -> str:
        """The metric that names the axis: that of `of` where it has its own."""
        own = claim.of.get("metric")
        return metric if own is None else self.metrics.name(own, ()) or metric

    def _measures(self, claim: ClaimSpec) -> tuple[str, ...]:
        if claim.measure is None:
            return ()
        return (claim.measure,) if isinstance(claim.measure, str) else claim.measure

    def _check(self, claim: ClaimSpec, path: PathTuple) -> None:
        """Note unknown factors, levels, measures and contradictions of a claim."""
        for side in SIDES:
            selector = getattr(claim, side)
            if selector:
                self.quantities.check(selector, (*path, side))
            if selector and side != "where":
                self._check_within(selector, claim.where, (*path, side))
        for i, selector in enumerate(claim.order or ()):
            self.quantities.check(selector, (*path, "order", i))
            self._check_within(selector, claim.where, (*path, "order", i))
        if claim.first is not None:
            self.quantities.check(claim.first.reaches, (*path, "first", "reaches"))
            self._check_along(claim.first.along, (*path, "first", "along"))
        if claim.along is not None:
            self._check_along(claim.along, (*path, "along"))
        if claim.matched is not None:
            self.metrics.name(claim.matched, (*path, "matched"))
        self._check_each(claim, path)
        for i, measure in enumerate(self._measures(claim)):
            place = (*path, "measure") if isinstance(claim.measure, str) else (*path, "measure", i)
            self.quantities.check_measure(measure, place)
            if measure in self._measures(claim)[:i]:
                self.problems.add(place, f"measure {measure!r} is named twice", "Remove one.")

    def _check_shares(self, claim: ClaimSpec, path: PathTuple, metric: str) -> None:
        """Note a bound that no share can reach: 60 where 0.6 is meant."""
        sides = [getattr(claim, side) or {} for side in SIDES] + list(claim.order or ())
        if claim.relative_to is not None or claim.first is not None or any(METRIC in side for side in sides):
            return
        bounds = {word: getattr(claim, word) for word in ("at_least", "at_most", "by")}
        bounds |= {("between", i): value for i, value in enumerate(claim.between or ())}
        for word, value in bounds.items():
            if value is not None and abs(value) > 1:
                place = (*path, *word) if isinstance(word, tuple) else (*path, word)
                what = f"{metric} is a share between 0 and 1, and {value:g} is none"
                self.problems.add(place, what, f"Write {value / 100:g} for {value:g} %.")

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

    def _check_along(self, along: Any, path: PathTuple) -> None:
        if not isinstance(along, str) and len(along) != 1:
            self.problems.add(path, f"along names {len(along)} factors", "Write {FACTOR: [levels in order]}.")
            return
        factor, levels = self.quantities.ordered_levels(along)
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
            self.quantities.check({factor: tuple(levels)}, path)
        if len(self.problems) > before:
            return
        if len(levels) < 2:
            what = f"{factor!r} has fewer than two levels here: there is no order"
            self.problems.add(path, what, "List two or more.")
        elif len(set(levels)) < len(levels):
            self.problems.add(path, f"a level of {factor!r} is listed twice", "Name each once, in order.")

    def _each(self, claim: ClaimSpec) -> list[dict[str, str]]:
        """One fixing per combination of levels of `for_each` that the other selectors allow."""
        axes = []
        for factor in claim.for_each:
            wanted = set(chosen_levels(claim.where[factor])) if factor in claim.where else None
            levels = self.study.measures if factor == MEASURE else self.study.factors[factor].levels
            axes.append([level for level in levels if wanted is None or level in wanted])
        return [
            dict(zip(claim.for_each, combination, strict=True)) for combination in itertools.product(*axes)
        ]
