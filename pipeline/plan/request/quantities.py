"""Selectors of a claim → quantities over the units, runs and data sets that the study makes.

Guaranteed: a quantity has at least one unit, run or record behind every leaf; what none produces is a problem
with its place. Reserved words beside the factors: step, measure, metric; a value may be {max: [levels]}.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Literal

from pipeline.locate import PathTuple
from pipeline.plan.cells import STEP, Cell, CellIndex, chosen_levels
from pipeline.plan.lower.cells import Lowered
from pipeline.plan.request.metrics import Metrics
from pipeline.plan.request.read_claim import METRIC, ReadSelector, is_pick, listed
from pipeline.request.figures import MEASURE
from pipeline.request.metrics import AnyMetric, Count, Logged, OfResponses
from pipeline.request.quantities import Curve, Extreme, Fact, Mean, Pick
from pipeline.spec.levels import Problems
from pipeline.stages import load_training


class Quantities:
    """Finds what selectors are about, in one study."""

    def __init__(self, lowered: Lowered, problems: Problems, metrics: Metrics) -> None:
        self.lowered = lowered
        self.study = lowered.study
        self.problems = problems
        self.metrics = metrics
        self.cells = CellIndex(lowered.cells)
        self._last_runs: dict[tuple[tuple[str, str], ...], dict[int, int]] | None = None

    def select(
        self,
        selector: ReadSelector,
        where: ReadSelector,
        fixed: Mapping[str, str],
        metric: AnyMetric,
        measure: str | tuple[str, ...] | None,
        path: PathTuple,
    ) -> Mean | Curve | Fact | Extreme | None:
        """The quantity that a selector is about; None after noting that no run produces it."""
        own = {} if measure is None else {MEASURE: measure}
        merged = {**where, **own, **selector, **fixed}
        metric = merged.pop(METRIC, metric)
        if isinstance(metric, Count):
            return Fact(name=metric.data, key=self.lowered.data_keys[metric.data], fact=metric.fact)
        named = () if fixed else tuple(selector)  # of `for_each`, some may have fewer levels than others
        picked = next((key for key, value in merged.items() if is_pick(value)), None)
        if picked is None:
            return self._find(metric, merged, named, path)
        pick: Pick = "max" if "max" in merged[picked] else "min"
        levels = listed(merged[picked])
        if not isinstance(levels, tuple):
            if picked == STEP and isinstance(metric, Logged):
                return self._curve(metric.column, {**merged, STEP: levels}, pick, path)
            self.problems.add(path, f"{picked}: {pick} of one level", f"List the levels: {{{pick}: [a, b]}}.")
            return None
        found = [self._find(metric, {**merged, picked: level}, named, path) for level in levels]
        among = tuple(quantity for quantity in found if quantity is not None)
        return Extreme(pick=pick, among=among) if len(among) == len(found) else None

    def _find(
        self,
        metric: OfResponses | Logged,
        merged: ReadSelector,
        named: Collection[str],
        path: PathTuple,
    ) -> Mean | Curve | None:
        if isinstance(metric, Logged):
            return self._curve(metric.column, merged, "mean", path)
        return self._mean(metric, merged, named, path)

    def _mean(
        self, metric: OfResponses, merged: ReadSelector, named: Collection[str], path: PathTuple
    ) -> Mean | None:
        steps = merged.get(STEP)
        if isinstance(steps, Mapping):
            self.problems.add(
                path,
                "a stretch of steps is for training.COLUMN; responses are sampled at checkpoints",
                "List steps.",
            )
            return None
        wanted = (
            [int(s) for s in (steps if isinstance(steps, tuple) else (steps,))]
            if steps is not None
            else [None]
        )
        chosen = merged.get(MEASURE)
        measures = list(self.study.measures) if chosen is None else chosen_levels(chosen)
        found = [
            index
            for cell in self._match(merged)
            for step in wanted
            for name in measures
            for index in self.lowered.cell_units.get((cell, step, name), ())
        ]
        if not found:
            self._note_nothing(merged, path, self._remedy(steps))
            return None
        if idle := self._idle(merged, named, wanted, measures):
            self._note_nothing({**merged, **idle}, path, self._remedy(idle.get(STEP)))
            return None
        if lacking := self._places_without(merged, wanted, measures):
            if self.metrics.is_whole:
                what = f"measure {lacking[0]!r} is not taken at {lacking[1]}"
                self.problems.add(path, what, "Name the measures that are, or widen its `only`.")
            return None
        if skipped := self._skipped(metric, found):
            what = f"metric {metric.name!r} is not measured at {skipped}"
            self.problems.add(path, what, "Name cells where it is, or widen the `only` of its analysis.")
            return None
        if not self.metrics.is_measured(metric, (self.lowered.units[index].measure for index in found), path):
            return None
        return Mean(metric=metric, units=tuple(found))

    def _idle(
        self,
        merged: ReadSelector,
        named: Collection[str],
        steps: Sequence[int | None],
        measures: Sequence[str],
    ) -> dict[str, Any]:
        """A level or a step that a side lists and that no cell found has: it would silently not count.

        `named` are the words of the side itself; what `where` lists only restricts.
        """
        taken = self.lowered.cell_units
        places = [
            (cell, step)
            for cell in self._match(merged)
            for step in steps
            if any((cell, step, name) in taken for name in measures)
        ]
        for step in steps:
            if all(other != step for _, other in places):
                return {STEP: step}
        for factor, value in merged.items():
            if factor in named and factor in self.study.factors and isinstance(value, tuple):
                for level in chosen_levels(value):
                    if all(cell.level(factor) != level for cell, _ in places):
                        return {factor: level}
        return {}

    def _places_without(
        self, merged: ReadSelector, steps: Sequence[int | None], measures: Sequence[str]
    ) -> tuple[str, str] | None:
        """A measure and a cell where it is not taken though others are: their mean would say another thing."""
        taken = self.lowered.cell_units
        for cell in self._match(merged):
            for step in steps:
                if any((cell, step, name) in taken for name in self.study.measures):
                    for name in measures:
                        if (cell, step, name) not in taken:
                            return name, cell.name + (f" step {step}" if step is not None else "")
        return None

    def _skipped(self, metric: OfResponses, found: Sequence[int]) -> str:
        """The first cell among some units at which an analysis is not taken, though it is on that measure."""
        needed = [(name, measure) for name, measure in self.metrics.analysed if name in metric.needs]
        for unit in (self.lowered.units[index] for index in found):
            if any(measure == unit.measure and name not in unit.analyses for name, measure in needed):
                cell = " ".join(f"{factor}={level}" for factor, level in unit.cell.items())
                return cell if unit.step is None else f"{cell} step {unit.step}"
        return ""

    def _curve(
        self, column: str, merged: ReadSelector, pick: Literal["mean", "max", "min"], path: PathTuple
    ) -> Curve | None:
        steps = merged.get(STEP)
        if isinstance(steps, Mapping):
            first, last = steps.get("from"), steps.get("to")
        elif isinstance(steps, tuple):
            self.problems.add(
                path, "the steps of a training curve are a stretch", "Write step: {from: 1, to: 10}."
            )
            return None
        else:
            first = last = steps
        runs = self._runs()
        found = [
            index
            for cell in self._match(merged)
            for index in runs.get(tuple(cell.as_dict().items()), {}).values()
        ]
        if not found:
            self._note_nothing(merged, path, "Name cells that train.")
            return None
        for stage in sorted({self.lowered.runs[index].stage for index in found}):
            logs = load_training(stage).logs
            if column not in logs:
                what = f"a training of stage {stage} logs no {column!r}"
                self.problems.add(path, what, f"It logs {', '.join(logs)}." if logs else "")
                return None
        return Curve(column=column, runs=tuple(found), first=first, last=last, pick=pick)

    def _match(self, merged: ReadSelector) -> list[Cell]:
        return self.cells.match({f: v for f, v in merged.items() if f not in (STEP, MEASURE)})

    def _runs(self) -> Mapping[tuple[tuple[str, str], ...], dict[int, int]]:
        """Cell → replicate → index of its last training."""
        if self._last_runs is None:
            self._last_runs = {}
            for index, run in enumerate(self.lowered.runs):
                self._last_runs.setdefault(tuple(run.cell.items()), {})[run.replicate] = index
        return self._last_runs

    def _note_nothing(self, merged: ReadSelector, path: PathTuple, remedy: str) -> None:
        if self.metrics.is_whole:
            shown = ", ".join(
                f"{f}: {' or '.join(chosen_levels(v)) if not isinstance(v, Mapping) else dict(v)}"
                for f, v in merged.items()
            )
            self.problems.add(
                path, f"no run produces what the claim refers to ({shown or 'all cells'})", remedy
            )

    def _remedy(self, steps: Any) -> str:
        if steps is not None:
            return "Give the RL level `checkpoints: [" + str(steps) + "]`, or another step."
        return "Add the cells to `cells`, or change the claim."
