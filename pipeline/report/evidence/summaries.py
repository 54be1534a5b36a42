"""The numbers of a report: every metric per unit, and per cell over its replicates.

Guaranteed: only finished units count, and each number says how many of the planned ones it holds; the mean
over measures is taken only over replicates for which every measure is there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from pipeline.report.evidence.metrics import Metric, parse_metric
from pipeline.report.evidence.results import Store
from pipeline.report.evidence.sides import CellKey, cell_key, make_side
from pipeline.request.quantities import Mean, leaves
from pipeline.request.request import Request, Unit
from pipeline.verdicts.paired import EmptySideError, Estimate, estimate_mean

ALL_MEASURES = "mean of measures"
RECORDED = ("training.", "data.")
"""Families of metrics that are read from logs and records, not from responses."""

JOINED = " + "
"""Between the names of measures that are averaged."""

ALWAYS = ("accuracy", "tokens", "truncated")


@dataclass(frozen=True)
class Number:
    """One metric of one unit."""

    unit: Unit
    metric: Metric
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
    metric: Metric
    estimate: Estimate
    replicates: tuple[tuple[int, float], ...]
    units: tuple[Unit, ...]
    planned: int

    @property
    def interval(self) -> tuple[float, float]:
        return self.estimate.interval()


def list_metrics(request: Request, store: Store) -> list[Metric]:
    """accuracy, tokens and truncated; then the claims' metrics; then every column of the finished analyses."""
    names = [*ALWAYS, *claimed_metrics(request), *(p.metric for p in request.published)]
    names += [name for figure in request.figures or () for name in (*figure.y, figure.x)]
    names += [metric for table in request.tables for _, metric in table.columns]
    names = [n for n in names if n not in request.factors and n != "step" and not n.startswith(RECORDED)]
    for analysis in dict.fromkeys(name for unit in request.units for name in unit.analyses):
        done = next(
            (u for u in request.units if analysis in u.analyses and not store.missing(u, (analysis,))), None
        )
        means = store.means(done, (analysis,)) if done else None
        names += [column for column in (means.columns if means else ()) if column.startswith(f"{analysis}.")]
    return [resolve_metric(name, request, store) for name in dict.fromkeys(names)]


def claimed_metrics(request: Request) -> list[str]:
    """The metrics of responses that claims speak about, also inside their effects."""
    names = []
    for claim in request.claims:
        for part in claim.parts:
            below = () if part.effect is None else leaves(part.effect)
            names += [leaf.metric for leaf in below if isinstance(leaf, Mean)]
            names += [claim.metric] if part.effect is None else []
    return list(dict.fromkeys(names))


def resolve_metric(name: str, request: Request, store: Store) -> Metric:
    """The metric of a name; a share where its column is found to hold yes and no."""
    metric = parse_metric(name, request.metrics)
    units = (u for u in request.units if is_measured(u, metric, store))
    means = store.means(first, metric.needs) if metric.needs and (first := next(units, None)) else None
    return replace(metric, unit="share") if means is not None and name in means.shares else metric


def is_measured(unit: Unit, metric: Metric, store: Store) -> bool:
    """Whether everything that the metric needs is there for the unit."""
    return not store.missing(unit, metric.needs)


def number_units(request: Request, metrics: Sequence[Metric], store: Store) -> list[Number]:
    """Every metric of every finished unit, in the order of the request."""
    numbers = []
    for unit in request.units:
        for metric in metrics:
            if not is_measured(unit, metric, store):
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
        self, request: Request, metrics: Sequence[Metric], store: Store, numbers: Sequence[Number]
    ) -> None:
        self.request = request
        self.metrics = tuple(metrics)
        self.measures = tuple(dict.fromkeys(unit.measure for unit in request.units))
        self._store = store
        self._trained = {run.key for run in request.runs}
        self._single = {(id(n.unit), n.metric.name): n.estimate for n in numbers}
        self._groups: dict[tuple[CellKey, int | None], list[Unit]] = {}
        for unit in request.units:
            self._groups.setdefault(cell_key(unit), []).append(unit)
        self._cache: dict[tuple[object, ...], Summary | None] = {}

    @property
    def measures_and_mean(self) -> tuple[str, ...]:
        """The mean first where there are several measures, then each."""
        return ((ALL_MEASURES,) if len(self.measures) > 1 else ()) + self.measures

    @property
    def groups(self) -> list[tuple[CellKey, int | None]]:
        """Every cell with its checkpoints, in the order of the factors' levels."""
        return sorted(
            self._groups,
            key=lambda key: ([self._place(*pair) for pair in key[0]], key[1] is None, key[1] or 0),
        )

    def _place(self, factor: str, level: str) -> int:
        levels = self.request.factors.get(factor, ())
        return levels.index(level) if level in levels else len(levels)

    def final_groups(self) -> list[tuple[CellKey, int | None]]:
        """One per cell: the end of its training, else its last checkpoint."""
        last: dict[CellKey, int | None] = {}
        for cell, step in self.groups:
            last[cell] = step
        return list(last.items())

    def get(self, group: tuple[CellKey, int | None], measure: str, metric: Metric) -> Summary | None:
        """The summary, or None where nothing of it is finished."""
        key = (*group, measure, metric.name)
        if key not in self._cache:
            self._cache[key] = self._summarise(group, measure, metric)
        return self._cache[key]

    def units_of(self, group: tuple[CellKey, int | None], measure: str) -> list[Unit]:
        """The planned units of a cell on one measure, or on all."""
        wanted = self.measures_in(measure)
        return [u for u in self._groups[group] if u.measure in wanted]

    def measures_in(self, measure: str) -> tuple[str, ...]:
        """The measures that a name stands for: all, one, or several joined by a plus."""
        return self.measures if measure == ALL_MEASURES else tuple(measure.split(JOINED))

    def _summarise(self, group: tuple[CellKey, int | None], measure: str, metric: Metric) -> Summary | None:
        planned = self.units_of(group, measure)
        done = [u for u in planned if is_measured(u, metric, self._store)]
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
            if (id(unit), metric.name) in self._single:
                values.setdefault(unit.replicate, []).append(self._single[id(unit), metric.name])
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
