"""Selectors of a claim → quantities over the units, runs and data sets that the study makes.

Guaranteed: a quantity has at least one unit, run or record behind every leaf; what none produces is a problem
with its place. Reserved words beside the factors: step, measure, metric; a value may be {max: [levels]}.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from pipeline.errors import shown, suggest
from pipeline.locate import PathTuple
from pipeline.plan.cells import STEP, CellIndex, check_selector, chosen_levels
from pipeline.plan.lower.cells import Lowered
from pipeline.plan.request.metrics import Metrics
from pipeline.request.quantities import Curve, Extreme, Fact, Mean
from pipeline.spec.levels import Problems
from pipeline.stages import load_training

MEASURE, METRIC = "measure", "metric"
PICKS = ("max", "min")
STRETCH = ("from", "to")


def is_pick(value: Any) -> bool:
    """Whether a selector's value is {max: …} or {min: …}."""
    return isinstance(value, Mapping) and len(value) == 1 and next(iter(value)) in PICKS


def is_stretch(value: Any) -> bool:
    """Whether a selector's value is {from: a, to: b}, either of which may be absent."""
    return isinstance(value, Mapping) and set(value) <= set(STRETCH) and all(
        isinstance(v, int) and not isinstance(v, bool) for v in value.values()
    )  # fmt: skip


class Quantities:
    """Finds what selectors are about, in one study."""

    def __init__(self, lowered: Lowered, problems: Problems, metrics: Metrics) -> None:
        self.lowered = lowered
        self.study = lowered.study
        self.problems = problems
        self.metrics = metrics
        self.cells = CellIndex(lowered.cells)
        self._last_runs: dict[tuple[tuple[str, str], ...], dict[int, int]] | None = None

    def check(self, selector: Mapping[str, Any], path: PathTuple) -> None:
        """Note unknown factors, levels, measures, metrics and malformed picks of a selector."""
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
                    self.check_measure(name, (*path, key))
                if listed(value) == ():
                    self.problems.add(
                        (*path, key), "no measure is listed", "Name one, or leave it out for all."
                    )
            elif key == METRIC:
                self.metrics.name(value, (*path, key))
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

    def ordered_levels(self, along: Any) -> tuple[str, list[Any]]:
        """The factor that a trend follows, and its levels in order."""
        if isinstance(along, str):
            return along, list(self.study.factors[along].levels) if along in self.study.factors else []
        factor, levels = next(iter(along.items()), ("", ()))
        return factor, list(levels) if factor == STEP else [
            name for lv in levels for name in chosen_levels(lv)
        ]

    def check_measure(self, name: str, path: PathTuple) -> None:
        """Note a measure that the study does not have."""
        known = self.study.spec.measure
        if name not in known and not self.problems.is_broken("measure", name):
            self.problems.add(path, f"measure {name!r} is unknown", suggest(name, known))

    def _check_step(self, value: Any, path: PathTuple) -> None:
        inner = next(iter(value.values())) if is_pick(value) else value
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

    def select(
        self,
        selector: Mapping[str, Any],
        where: Mapping[str, Any],
        fixed: Mapping[str, str],
        metric: str,
        measure: str | tuple[str, ...] | None,
        path: PathTuple,
    ) -> Any:
        """The quantity that a selector is about; None after noting that no run produces it."""
        own = {} if measure is None else {MEASURE: measure}
        merged = {**where, **own, **selector, **fixed}
        if METRIC in merged:
            metric = self.metrics.name(merged.pop(METRIC), (*path, METRIC)) or metric
        family, _, rest = metric.partition(".")
        if family == "data":
            name, _, fact = rest.partition(".")
            return Fact(name=name, key=self.lowered.data_keys[name], fact=fact)
        named = () if fixed else tuple(selector)  # of `for_each`, some may have fewer levels than others
        picked = next((key for key, value in merged.items() if is_pick(value)), None)
        if picked is None:
            return (
                self._curve(rest, merged, "mean", path)
                if family == "training"
                else self._mean(metric, merged, named, path)
            )
        pick, levels = next(iter(merged[picked].items()))
        if not isinstance(levels, tuple):
            if picked == STEP and family == "training":
                return self._curve(rest, {**merged, STEP: levels}, pick, path)
            self.problems.add(path, f"{picked}: {pick} of one level", f"List the levels: {{{pick}: [a, b]}}.")
            return None
        found = [
            self._curve(rest, at, "mean", path)
            if family == "training"
            else self._mean(metric, at, named, path)
            for at in ({**merged, picked: level} for level in levels)
        ]
        return None if any(q is None for q in found) else Extreme(pick=pick, among=tuple(found))

    def _mean(
        self, metric: str, merged: Mapping[str, Any], named: Collection[str], path: PathTuple
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
            return self._note_nothing(merged, path, self._remedy(steps))
        if idle := self._idle(merged, named, wanted, measures):
            return self._note_nothing({**merged, **idle}, path, self._remedy(idle.get(STEP)))
        if lacking := self._places_without(merged, wanted, measures):
            if self.metrics.is_whole:
                what = f"measure {lacking[0]!r} is not taken at {lacking[1]}"
                self.problems.add(path, what, "Name the measures that are, or widen its `only`.")
            return None
        if skipped := self._skipped(metric, found):
            what = f"metric {metric!r} is not measured at {skipped}"
            self.problems.add(path, what, "Name cells where it is, or widen the `only` of its analysis.")
            return None
        if not self.metrics.is_measured(metric, (self.lowered.units[index].measure for index in found), path):
            return None
        return Mean(metric=metric, units=tuple(found))

    def _idle(
        self,
        merged: Mapping[str, Any],
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
        self, merged: Mapping[str, Any], steps: Sequence[int | None], measures: Sequence[str]
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

    def _skipped(self, metric: str, found: Sequence[int]) -> str:
        """The first cell among some units at which an analysis is not taken, though it is on that measure."""
        reads = self.metrics.needed(metric)
        needed = [(name, measure) for name, measure in self.metrics.analysed if name in reads]
        for unit in (self.lowered.units[index] for index in found):
            if any(measure == unit.measure and name not in unit.analyses for name, measure in needed):
                cell = " ".join(f"{factor}={level}" for factor, level in unit.cell.items())
                return cell if unit.step is None else f"{cell} step {unit.step}"
        return ""

    def _curve(self, column: str, merged: Mapping[str, Any], pick: str, path: PathTuple) -> Curve | None:
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
        for stage in sorted({self.lowered.runs[index].stage for index in found}):
            logs = load_training(stage).logs
            if column not in logs:
                what = f"a training of stage {stage} logs no {column!r}"
                return self.problems.add(path, what, f"It logs {', '.join(logs)}." if logs else "")
        if found:
            return Curve(column=column, runs=tuple(found), first=first, last=last, pick=pick)
        return self._note_nothing(merged, path, "Name cells that train.")

    def _match(self, merged: Mapping[str, Any]) -> list[Any]:
        return self.cells.match({f: v for f, v in merged.items() if f not in (STEP, MEASURE, METRIC)})

    def _runs(self) -> Mapping[tuple[tuple[str, str], ...], dict[int, int]]:
        """Cell → replicate → index of its last training."""
        if self._last_runs is None:
            self._last_runs = {}
            for index, run in enumerate(self.lowered.runs):
                self._last_runs.setdefault(tuple(run.cell.items()), {})[run.replicate] = index
        return self._last_runs

    def _note_nothing(self, merged: Mapping[str, Any], path: PathTuple, remedy: str) -> None:
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


def listed(value: Any) -> Any:
    """The levels of a pick, or the value itself."""
    return next(iter(value.values())) if is_pick(value) else value
