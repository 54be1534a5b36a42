"""The numbers of a report: every metric per unit, and per cell over its replicates.

Guaranteed: only finished units count, and each number says how many of the planned ones it holds; the mean
over measures is taken only over replicates for which every measure is there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from pipeline.report.evidence.problem_values import is_bounded, is_measured
from pipeline.report.evidence.results import Store
from pipeline.report.evidence.sides import CellKey, Group, cell_key, make_side
from pipeline.request.figures import JOINED
from pipeline.request.metrics import (
    ACCURACY,
    TOKENS,
    TRUNCATED,
    AnalysisMean,
    AnyMetric,
    Column,
    OfResponses,
)
from pipeline.request.page import Request
from pipeline.request.quantities import Mean, leaves
from pipeline.request.units import Unit
from pipeline.verdicts.intervals import Estimate
from pipeline.verdicts.paired import EmptySideError, estimate_mean

ALL_MEASURES = "mean of measures"


@dataclass(frozen=True)
class Number:
    """One metric of one unit."""

    unit: Unit
    metric: OfResponses
    estimate: float
    low: float
    high: float
    n_problems: int
    n_samples: int


@dataclass(frozen=True)
class Summary:
    """One metric of one cell (and checkpoint) on one measure, over its finished replicates."""

    cell: Mapping[str, str]
    step: int | None
    measure: str
    metric: OfResponses
    estimate: Estimate
    replicates: tuple[tuple[int, float], ...]
    units: tuple[Unit, ...]
    planned: int

    @property
    def interval(self) -> tuple[float, float]:
        return self.estimate.interval()


def list_metrics(request: Request, store: Store) -> list[OfResponses]:
    """accuracy, tokens and truncated; then all that the request names; then every column of the finished analyses."""
    found: list[AnyMetric | str] = [ACCURACY, TOKENS, TRUNCATED, *claimed_metrics(request)]
    found += [number.metric for number in request.published]
    found += [metric for figure in request.figures or () for metric in (*figure.y, figure.x)]
    found += [metric for table in request.tables for _, metric in table.columns]
    for analysis in dict.fromkeys(name for unit in request.units for name in unit.analyses):
        found += _list_columns(analysis, request, store)
    metrics = [metric for metric in dict.fromkeys(found) if isinstance(metric, OfResponses)]
    return [_find_unit(metric, request, store) for metric in metrics]


def _list_columns(analysis: str, request: Request, store: Store) -> list[AnalysisMean]:
    """The columns that an analysis of a first finished unit has."""
    done = (u for u in request.units if analysis in u.analyses and store.has(u, (analysis,)))
    first = next(done, None)
    names = () if first is None else store.means(first, (analysis,)).columns
    columns = [name.removeprefix(f"{analysis}.") for name in names if name.startswith(f"{analysis}.")]
    return [AnalysisMean(column=Column(name=name, analysis=analysis)) for name in columns]


def claimed_metrics(request: Request) -> list[AnyMetric]:
    """The metrics that claims speak about, also inside their effects."""
    found: list[AnyMetric] = []
    for claim in request.claims:
        for part in claim.parts:
            below = () if part.effect is None else leaves(part.effect)
            found += [leaf.metric for leaf in below if isinstance(leaf, Mean)]
            found += [claim.metric] if part.effect is None else []
    return list(dict.fromkeys(found))


def _find_unit(metric: OfResponses, request: Request, store: Store) -> OfResponses:
    """The metric; a share where the column of its analysis is found to hold yes and no."""
    if not isinstance(metric, AnalysisMean):
        return metric
    first = next((unit for unit in request.units if is_measured(metric, unit, store)), None)
    is_share = first is not None and is_bounded(metric, store.means(first, metric.needs))
    return replace(metric, unit="share") if is_share else metric


def number_units(request: Request, metrics: Sequence[OfResponses], store: Store) -> list[Number]:
    """Every metric of every finished unit, in the order of the request."""
    numbers = []
    for unit in request.units:
        for metric in metrics:
            if not is_measured(metric, unit, store):
                continue
            try:
                estimate = estimate_mean(make_side([unit], metric, store, ()))
            except EmptySideError:
                continue
            samples = int(store.means(unit).samples.sum())
            numbers.append(
                Number(unit, metric, estimate.value, *estimate.interval(), estimate.n_problems, samples)
            )
    return numbers


class Summaries:
    """All cell summaries of a report, found by cell, step, measure and metric."""

    def __init__(
        self, request: Request, metrics: Sequence[OfResponses], store: Store, numbers: Sequence[Number]
    ) -> None:
        self.request = request
        self.metrics = tuple(metrics)
        self._shown = {metric: metric for metric in metrics}
        self.measures = tuple(dict.fromkeys(unit.measure for unit in request.units))
        self._store = store
        self._trained = {run.key for run in request.runs}
        self._single = {(id(n.unit), n.metric): n.estimate for n in numbers}
        self._groups: dict[Group, list[Unit]] = {}
        for unit in request.units:
            self._groups.setdefault(cell_key(unit), []).append(unit)
        self._cache: dict[tuple[object, ...], Summary | None] = {}

    def shown(self, metric: OfResponses) -> OfResponses:
        """A metric of the request with the unit that its values turned out to have."""
        return self._shown.get(metric, metric)

    @property
    def measures_and_mean(self) -> tuple[str, ...]:
        """The mean first where there are several measures, then each."""
        return ((ALL_MEASURES,) if len(self.measures) > 1 else ()) + self.measures

    @property
    def groups(self) -> list[Group]:
        """Every cell with its checkpoints, in the order of the factors' levels."""
        return sorted(
            self._groups,
            key=lambda key: ([self._place(*pair) for pair in key[0]], key[1] is None, key[1] or 0),
        )

    def _place(self, factor: str, level: str) -> int:
        levels = self.request.factors.get(factor, ())
        return levels.index(level) if level in levels else len(levels)

    def final_groups(self) -> list[Group]:
        """One per cell: the end of its training, else its last checkpoint."""
        last: dict[CellKey, int | None] = {}
        for cell, step in self.groups:
            last[cell] = step
        return list(last.items())

    def get(self, group: Group, measure: str, metric: OfResponses) -> Summary | None:
        """The summary, or None where nothing of it is finished."""
        key = (*group, measure, metric)
        if key not in self._cache:
            self._cache[key] = self._summarise(group, measure, self.shown(metric))
        return self._cache[key]

    def units_of(self, group: Group, measure: str) -> list[Unit]:
        """The planned units of a cell on one measure, or on all."""
        wanted = self.measures_in(measure)
        return [u for u in self._groups[group] if u.measure in wanted]

    def measures_in(self, measure: str) -> tuple[str, ...]:
        """The measures that a name stands for: all, one, or several joined by a plus."""
        return self.measures if measure == ALL_MEASURES else tuple(measure.split(JOINED))

    def _summarise(self, group: Group, measure: str, metric: OfResponses) -> Summary | None:
        planned = self.units_of(group, measure)
        done = [u for u in planned if is_measured(metric, u, self._store)]
        if len(self.measures_in(measure)) > 1:
            whole = [
                r
                for r in {u.replicate for u in done}
                if len({u.measure for u in done if u.replicate == r}) == len(self.measures_in(measure))
            ]
            done = [u for u in done if u.replicate in whole]
        try:
            side = make_side(done, metric, self._store, self._trained) if done else None
        except EmptySideError:
            side = None
        if side is None:
            return None
        values: dict[int, list[float]] = {}
        for unit in done:
            if (id(unit), metric) in self._single:
                values.setdefault(unit.replicate, []).append(self._single[id(unit), metric])
        replicates = tuple((r, sum(v) / len(v)) for r, v in sorted(values.items()))
        return Summary(
            dict(group[0]),
            group[1],
            measure,
            metric,
            estimate_mean(side),
            replicates,
            tuple(done),
            len(planned),
        )
