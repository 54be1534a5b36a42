"""From units to sides: which values stand on each side of a claim, a figure's point or a table's cell.

Units of one cell whose replicates share a policy are one checkpoint sampled more often: their samples are
pooled. Several cells on one side are averaged with equal weight per (replicate, problem). A problem without
a value in some replicate is left out of that side. Of a metric over a part of the responses, a replicate without
any such response says nothing and is left out, too.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.report.evidence.metrics import Metric
from pipeline.report.evidence.record_sides import make_curve_side, make_fact_side, missing_runs
from pipeline.report.evidence.results import Store
from pipeline.request.quantities import Curve, Fact, Mean, leaves
from pipeline.request.request import CompiledClaim, Part, Request, Unit
from pipeline.verdicts.decide import Evidence
from pipeline.verdicts.paired import Array, EmptySideError, Panel, Side

CellKey = tuple[tuple[str, str], ...]
Table = tuple[tuple[str, ...], Array]


def name_unit(unit: Unit) -> str:
    """A unit in words: levels, step, measure, replicate."""
    step = [f"step {unit.step}"] if unit.step is not None else []
    return " · ".join([*unit.cell.values(), *step, unit.measure, f"replicate {unit.replicate}"])


def cell_key(unit: Unit) -> tuple[CellKey, int | None]:
    """What tells two cells (or two checkpoints of one run) apart."""
    return tuple(unit.cell.items()), unit.step


def gather_claim(
    claim: CompiledClaim, metrics: Mapping[str, Metric], request: Request, store: Store
) -> list[Evidence]:
    """The evidence of each part of a claim, in order."""
    trained = {run.key for run in request.runs}
    return [
        _gather_plain(part, metrics[claim.metric], request.units, store, trained)
        if part.effect is None
        else _gather_leaves(part.effect, metrics, request, store, trained)
        for part in claim.parts
    ]


def _gather_plain(
    part: Part, metric: Metric, units: Sequence[Unit], store: Store, trained: set[str]
) -> Evidence:
    sides = [[units[i] for i in indices] for indices in (part.left, part.right)]
    missing = [name_unit(unit) for side in sides for unit in side if store.missing(unit, metric.needs)]
    if missing:
        return Evidence(missing=tuple(dict.fromkeys(missing)))
    try:
        left = make_side(sides[0], metric, store, trained)
        return Evidence(left=left, right=make_side(sides[1], metric, store, trained) if sides[1] else None)
    except EmptySideError as error:
        return Evidence(valueless=f"{error.what} ({metric.name})")


def _gather_leaves(
    effect: Any, metrics: Mapping[str, Metric], request: Request, store: Store, trained: set[str]
) -> Evidence:
    """A side for every leaf of an effect, or the names of what is missing, or the first that has no value."""
    found: dict[Any, Side] = {}
    missing: list[str] = []
    for leaf in dict.fromkeys(leaves(effect)):
        if isinstance(leaf, Curve):
            missing += missing_runs(leaf, request, store)
        elif isinstance(leaf, Fact):
            missing += [f"data {leaf.name}"] if store.find(leaf.key) is None else []
        else:
            units = [request.units[i] for i in leaf.units]
            missing += [name_unit(u) for u in units if store.missing(u, metrics[leaf.metric].needs)]
    if missing:
        return Evidence(missing=tuple(dict.fromkeys(missing)))
    for leaf in dict.fromkeys(leaves(effect)):
        try:
            if isinstance(leaf, Curve):
                found[leaf] = make_curve_side(leaf, request, store)
            elif isinstance(leaf, Fact):
                found[leaf] = make_fact_side(leaf, store)
            else:
                units = [request.units[i] for i in leaf.units]
                found[leaf] = make_side(units, metrics[leaf.metric], store, trained)
        except EmptySideError as error:
            named = f" ({leaf.metric})" if isinstance(leaf, Mean) else ""
            return Evidence(valueless=error.what + named)
    return Evidence(leaves=found)


def make_side(units: Sequence[Unit], metric: Metric, store: Store, trained: Iterable[str]) -> Side:
    """One side from finished units: a panel per measure, complete over the replicates that all of them have."""
    by_measure: dict[str, list[Unit]] = {}
    for unit in units:
        by_measure.setdefault(unit.measure, []).append(unit)
    replicates = _shared_replicates(units)
    if not replicates:
        raise EmptySideError(
            "no replicate has every cell and measure", "Finish the measurements of one replicate."
        )
    tables = [_tabulate(measure, group, replicates, metric, store) for measure, group in by_measure.items()]
    says = np.logical_and.reduce([table.says for table in tables])
    panels = tuple(table.make_panel(metric, says) for table in tables)
    replicates = tuple(itertools.compress(replicates, says))
    known = set(trained)
    first = store.means(units[0], metric.needs)
    return Side(
        panels,
        replicates,
        trained=any(unit.policy in known or unit.step is not None for unit in units),
        bounded=first is not None and metric.is_share(first),
    )


def _by_cell(units: Sequence[Unit]) -> list[list[Unit]]:
    cells: dict[object, list[Unit]] = {}
    for unit in units:
        cells.setdefault(cell_key(unit), []).append(unit)
    return list(cells.values())


def _is_fixed(units: Sequence[Unit]) -> bool:
    """Whether all replicates of a cell are one checkpoint."""
    return len({unit.policy for unit in units}) == 1


def _shared_replicates(units: Sequence[Unit]) -> tuple[int, ...]:
    """The replicates that every trained cell and measure has; (0,) where every cell is one checkpoint."""
    groups: dict[object, list[Unit]] = {}
    for unit in units:
        groups.setdefault((cell_key(unit), unit.measure), []).append(unit)
    varied = [{unit.replicate for unit in group} for group in groups.values() if not _is_fixed(group)]
    return tuple(sorted(set.intersection(*varied))) if varied else (0,)


@dataclass(frozen=True)
class _Table:
    """One measure on one side before a metric is made of it: columns[replicate, problem]."""

    measure: str
    problems: tuple[str, ...]
    columns: tuple[Array, ...]

    @property
    def says(self) -> Any:
        """Per replicate whether there is any response of those that a ratio divides by."""
        whole = np.ones(len(self.columns[0]), dtype=bool)
        return (self.columns[-1] > 0).any(axis=1) if len(self.columns) > 1 else whole

    def make_panel(self, metric: Metric, kept: Any) -> Panel:
        """The metric's values over the replicates that are kept."""
        columns = [column[kept] for column in self.columns]
        n_informative = int((columns[-1] > 0).any(axis=0).sum()) if len(columns) > 1 else None
        return Panel(self.measure, self.problems, metric.linearise(columns), n_informative=n_informative)


def _tabulate(
    measure: str, units: Sequence[Unit], replicates: tuple[int, ...], metric: Metric, store: Store
) -> _Table:
    rows = []
    for cell in _by_cell(units):
        fixed = _is_fixed(cell)
        groups = [cell if fixed else [u for u in cell if u.replicate == r] for r in replicates]
        rows.append([_pool(group, metric, store) for group in groups])
    n_columns = len(rows[0][0][1])
    columns = []
    for c in range(n_columns):
        problems, blocks = _align([(table[0], table[1][c]) for row in rows for table in row])
        columns.append(blocks.reshape(len(rows), len(replicates), -1).mean(axis=0))
    whole = ~np.isnan(np.array(columns)).any(axis=(0, 1))
    return _Table(
        measure, tuple(itertools.compress(problems, whole)), tuple(column[:, whole] for column in columns)
    )


def _pool(units: Sequence[Unit], metric: Metric, store: Store) -> tuple[tuple[str, ...], list[Array]]:
    """The mean per problem over all samples of these units of one policy; a scores artifact counts once."""
    found = [metric.tabulate(unit, store) for unit in {unit.scores: unit for unit in units}.values()]
    problems, samples = _align([(means.problems, means.samples.astype(float)) for means, _ in found])
    pooled = []
    for c in range(len(found[0][1])):
        _, values = _align([(means.problems, columns[c]) for means, columns in found])
        weights = np.where(np.isnan(values) | np.isnan(samples), 0.0, samples)
        total = weights.sum(axis=0)
        sums = (np.where(weights > 0, values, 0.0) * weights).sum(axis=0)
        pooled.append(np.where(total > 0, sums / np.where(total > 0, total, 1.0), np.nan))
    return problems, pooled


def _align(tables: Sequence[Table]) -> tuple[tuple[str, ...], Array]:
    """Values by (table, problem) on the union of the problems, NaN where a table lacks one."""
    first = tables[0][0]
    if all(problems == first for problems, _ in tables):
        return first, np.array([values for _, values in tables])
    union = sorted(set().union(*(problems for problems, _ in tables)))
    place = {problem: i for i, problem in enumerate(union)}
    block = np.full((len(tables), len(union)), np.nan)
    for row, (problems, values) in zip(block, tables, strict=True):
        row[[place[problem] for problem in problems]] = values
    return tuple(union), block
