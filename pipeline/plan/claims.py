"""Claims of a study → comparisons of units, checked to refer to cells that some run produces."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

from pipeline import analyses
from pipeline.design import STEP, CellIndex, check_selector, chosen_levels
from pipeline.errors import suggest
from pipeline.locate import PathTuple
from pipeline.plan.lower import Lowered
from pipeline.report.request import CompiledClaim, Part
from pipeline.spec.levels import Problems
from pipeline.spec.models import ClaimSpec

METRICS = ("accuracy", "tokens", "truncated", "token_efficiency")
SIDES = ("of", "above", "below", "where")


def compile_claims(lowered: Lowered, problems: Problems) -> tuple[CompiledClaim, ...]:
    """Every claim of a study with its parts; problems are noted where a claim cannot be decided."""
    compiler = _Compiler(lowered, problems)
    found = [compiler.compile(name, claim) for name, claim in lowered.study.spec.claims.items()]
    return tuple(claim for claim in found if claim is not None)


class _Compiler:
    def __init__(self, lowered: Lowered, problems: Problems) -> None:
        self.lowered = lowered
        self.study = lowered.study
        self.problems = problems
        self.cells = CellIndex(lowered.cells)

    def compile(self, name: str, claim: ClaimSpec) -> CompiledClaim | None:
        path = ("claims", name)
        if not self._is_sound(claim, path):
            return None
        other, kind = self._other_side(claim)
        parts = []
        for fixed in self._each(claim):
            part = self._part(claim, kind, other, fixed, path)
            if part is None:
                return None
            parts.append(part)
        return CompiledClaim(
            name=name,
            text=claim.text or _in_words(claim),
            metric=claim.metric,
            parts=tuple(parts),
            published=claim.published,
        )

    def _is_sound(self, claim: ClaimSpec, path: PathTuple) -> bool:
        before = len(self.problems)
        for side in SIDES:
            selector = getattr(claim, side)
            if selector:
                check_selector(self.study, selector, (*path, side), self.problems, steps=True)
        for i, factor in enumerate(claim.for_each):
            if factor not in self.study.factors:
                self.problems.add(
                    (*path, "for_each"), f"factor {factor!r} is unknown", suggest(factor, self.study.factors)
                )
            elif any(factor in (getattr(claim, side) or {}) for side in ("of", "above", "below")):
                self.problems.add(
                    (*path, "for_each", i),
                    f"factor {factor!r} is fixed by the claim and also in for_each",
                    "Remove it from one of the two.",
                )
        measures = self.study.spec.measure
        if (
            claim.measure is not None
            and claim.measure not in measures
            and f"measure.{claim.measure}" not in self.study.broken
        ):
            self.problems.add(
                (*path, "measure"), f"measure {claim.measure!r} is unknown", suggest(claim.measure, measures)
            )
        self._check_metric(claim.metric, path)
        return len(self.problems) == before

    def _check_metric(self, metric: str, path: PathTuple) -> None:
        if metric in METRICS:
            return
        declared = [raw if isinstance(raw, str) else next(iter(raw), "") for raw in self.study.spec.analyses]
        name, _, column = metric.partition(".")
        known = [
            *METRICS,
            *(f"{a}.{c}" for a in declared if a in analyses.names() for c in analyses.columns(a)),
        ]
        if column and name in analyses.names() and name not in declared:
            self.problems.add(
                (*path, "metric"),
                f"metric {metric!r} needs the analysis {name!r}, which the study does not declare",
                f"Add it: analyses: [{name}].",
            )
        elif metric not in known:
            self.problems.add((*path, "metric"), f"metric {metric!r} is unknown", suggest(metric, known))

    def _other_side(self, claim: ClaimSpec) -> tuple[Mapping[str, Any] | None, str]:
        if claim.above is not None:
            return claim.above, "above"
        if claim.below is not None:
            return claim.below, "below"
        return None, "at_least" if claim.at_least is not None else "at_most"

    def _each(self, claim: ClaimSpec) -> list[dict[str, str]]:
        """One fixing per combination of levels of `for_each` that the other selectors allow."""
        axes = []
        for factor in claim.for_each:
            wanted = set(chosen_levels(claim.where[factor])) if factor in claim.where else None
            axes.append(
                [level for level in self.study.factors[factor].levels if wanted is None or level in wanted]
            )
        return [
            dict(zip(claim.for_each, combination, strict=True)) for combination in itertools.product(*axes)
        ]

    def _part(
        self,
        claim: ClaimSpec,
        kind: str,
        other: Mapping[str, Any] | None,
        fixed: Mapping[str, str],
        path: PathTuple,
    ) -> Part | None:
        left = self._units(claim, claim.of, fixed, (*path, "of"))
        right: tuple[int, ...] | None = ()
        if other is not None:
            unchanged = {f: v for f, v in claim.of.items() if f not in other and f != STEP}
            right = self._units(claim, {**unchanged, **other}, fixed, (*path, kind))
        if left is None or right is None:
            return None
        if other is not None and set(left) == set(right):
            self.problems.add(
                (*path, kind), "both sides of the claim are the same cells", "Name a level that differs."
            )
            return None
        value = claim.at_least if claim.at_least is not None else claim.at_most
        label = ", ".join(f"{f}={v}" for f, v in fixed.items()) or "all"
        return Part(
            label=label, kind=kind, left=left, right=right, by=claim.by, times=claim.times, value=value
        )

    def _units(
        self, claim: ClaimSpec, selector: Mapping[str, Any], fixed: Mapping[str, str], path: PathTuple
    ) -> tuple[int, ...] | None:
        """The indices of all units that a side is about; noted as a problem where no run produces any."""
        where = {f: v for f, v in claim.where.items() if f != STEP and f not in selector}
        cells = self.cells.match(selector, where, fixed)
        steps = selector.get(STEP, claim.where.get(STEP))
        wanted = (
            [int(s) for s in (steps if isinstance(steps, tuple) else (steps,))]
            if steps is not None
            else [None]
        )
        measures = [claim.measure] if claim.measure is not None else list(self.study.measures)
        found = [
            index
            for cell in cells
            for step in wanted
            for measure in measures
            for index in self.lowered.cell_units.get((cell, step, measure), ())
        ]
        if found:
            return tuple(found)
        if self.study.broken or self.problems:
            return None
        shown = ", ".join(
            f"{f}: {' or '.join(chosen_levels(v))}" for f, v in {**fixed, **where, **selector}.items()
        )
        self.problems.add(
            path, f"no run produces what the claim refers to ({shown or 'all cells'})", self._remedy(steps)
        )
        return None

    def _remedy(self, steps: Any) -> str:
        if steps is not None:
            return "Give the RL level `checkpoints: [" + str(steps) + "]`, or another step."
        return "Add the cells to `cells`, or change the claim."


def _in_words(claim: ClaimSpec) -> str:
    """A plain sentence for a claim without a text."""

    def cells(selector: Mapping[str, Any]) -> str:
        return (
            ", ".join(f"{f}={'/'.join(chosen_levels(v))}" for f, v in sorted(selector.items())) or "all cells"
        )

    subject = f"{claim.metric} of {cells(claim.of)}"
    if claim.at_least is not None:
        return f"{subject} is at least {claim.at_least:g}"
    if claim.at_most is not None:
        return f"{subject} is at most {claim.at_most:g}"
    word, other = ("above", claim.above) if claim.above is not None else ("below", claim.below)
    if claim.times is not None:
        return f"{subject} is {word} {claim.times:g} × that of {cells(other)}"
    margin = (
        f" by more than {claim.by:g}"
        if claim.by > 0
        else f" or at most {-claim.by:g} worse"
        if claim.by < 0
        else ""
    )
    return f"{subject} is {word} that of {cells(other)}{margin}"
