"""From units to sides: which values stand on each side of a claim, a figure's point or a table's cell.

Units of one cell whose replicates share a policy are one checkpoint sampled more often: their samples are
pooled. Several cells on one side are averaged with equal weight per (replicate, problem). A problem without
a value in some replicate is left out of that side. Of a metric over a part of the responses, a replicate without
any such response says nothing and is left out, too.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipeline.errors import InputError
from pipeline.report.evidence.problem_values import is_bounded, is_measured, linearise, tabulate
from pipeline.report.evidence.record_sides import make_curve_side, make_fact_side, missing_runs
from pipeline.report.evidence.results import Store
from pipeline.request.claims import CompiledClaim, Part
from pipeline.request.metrics import Count, Logged, Metric, OfResponses
from pipeline.request.page import Request
from pipeline.request.quantities import AnyQuantity, Curve, Fact, Leaf, Mean, leaves
from pipeline.request.units import Unit
from pipeline.verdicts.decide import Evidence
from pipeline.verdicts.paired import Array, EmptySideError, Panel, Side

CellKey = tuple[tuple[str, str], ...]
"""A cell: factor and level of each."""
Group = tuple[CellKey, int | None]
"""A cell at the end of its training (None), or at a checkpoint."""
Table = tuple[tuple[str, ...], Array]


def name_unit(unit: Unit) -> str:
    """A unit in words: levels, step, measure, replicate."""
    step = [f"step {unit.step}"] if unit.step is not None else []
    return " · ".join([*unit.cell.values(), *step, unit.measure, f"replicate {unit.replicate}"])


def cell_key(unit: Unit) -> Group:
    """What tells two cells (or two checkpoints of one run) apart."""
    return tuple(unit.cell.items()), unit.step


def gather_claim(claim: CompiledClaim, request: Request, store: Store) -> list[Evidence]:
    """The evidence of each part of a claim, in order."""
    gathering = _Gathering(request, store)
    return [
        gathering.gather_plain(part, claim.metric) if part.effect is None else gathering.gather(part.effect)
        for part in claim.parts
    ]


class _Gathering:
    def __init__(self, request: Request, store: Store) -> None:
        self.request = request
        self.store = store
        self.trained = {run.key for run in request.runs}

    def gather_plain(self, part: Part, metric: Metric) -> Evidence:
        """Both sides of a part that compares means of one metric."""
        if isinstance(metric, Logged | Count):
            raise InputError(
                f"claim part {part.label!r} compares responses by {metric.name}", "Give it an effect."
            )
        left = Mean(metric=metric, units=part.left)
        right = Mean(metric=metric, units=part.right) if part.right else None
        found = self._gather([left] if right is None else [left, right])
        if isinstance(found, Evidence):
            return found
        return Evidence(left=found[left], right=None if right is None else found[right])

    def gather(self, effect: AnyQuantity) -> Evidence:
        """A side for every leaf of an effect."""
        found = self._gather(list(dict.fromkeys(leaves(effect))))
        return found if isinstance(found, Evidence) else Evidence(leaves=found)

    def _gather(self, wanted: Sequence[Leaf]) -> dict[Leaf, Side] | Evidence:
        """A side for each of some leaves; else the names of what is missing, or the first that has no value."""
        missing = [words for leaf in wanted for words in self._missing(leaf)]
        if missing:
            return Evidence(missing=tuple(dict.fromkeys(missing)))
        found: dict[Leaf, Side] = {}
        for leaf in wanted:
            try:
                found[leaf] = self._make(leaf)
            except EmptySideError as error:
                named = f" ({leaf.metric.name})" if isinstance(leaf, Mean) else ""
                return Evidence(valueless=error.what + named)
        return found

    def _missing(self, leaf: Leaf) -> list[str]:
        """What of a leaf is not done, in words."""
        if isinstance(leaf, Curve):
            return missing_runs(leaf, self.request, self.store)
        if isinstance(leaf, Fact):
            return [f"data {leaf.name}"] if self.store.find(leaf.key) is None else []
        units = [self.request.units[i] for i in leaf.units]
        return [name_unit(unit) for unit in units if not is_measured(leaf.metric, unit, self.store)]

    def _make(self, leaf: Leaf) -> Side:
        if isinstance(leaf, Curve):
            return make_curve_side(leaf, self.request, self.store)
        if isinstance(leaf, Fact):
            return make_fact_side(leaf, self.store)
        return make_side([self.request.units[i] for i in leaf.units], leaf.metric, self.store, self.trained)


def make_side(units: Sequence[Unit], metric: OfResponses, store: Store, trained: Iterable[str]) -> Side:
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
    panels = tuple(table.make_panel(says) for table in tables)
    replicates = tuple(itertools.compress(replicates, says))
    known = set(trained)
    return Side(
        panels,
        replicates,
        trained=any(unit.policy in known or unit.step is not None for unit in units),
        bounded=is_bounded(metric, store.means(units[0], metric.needs)),
    )


def _by_cell(units: Sequence[Unit]) -> list[list[Unit]]:
    cells: dict[Group, list[Unit]] = {}
    for unit in units:
        cells.setdefault(cell_key(unit), []).append(unit)
    return list(cells.values())


def _is_fixed(units: Sequence[Unit]) -> bool:
    """Whether all replicates of a cell are one checkpoint."""
    return len({unit.policy for unit in units}) == 1


def _shared_replicates(units: Sequence[Unit]) -> tuple[int, ...]:
    """The replicates that every trained cell and measure has; (0,) where every cell is one checkpoint."""
    groups: dict[tuple[Group, str], list[Unit]] = {}
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
    def says(self) -> npt.NDArray[np.bool_]:
        """Per replicate whether there is any response of those that a ratio divides by."""
        if len(self.columns) == 1:
            return np.ones(len(self.columns[0]), dtype=np.bool_)
        return np.asarray((self.columns[-1] > 0).any(axis=1))

    def make_panel(self, kept: npt.NDArray[np.bool_]) -> Panel:
        """The metric's values over the replicates that are kept."""
        columns = [column[kept] for column in self.columns]
        n_informative = int((columns[-1] > 0).any(axis=0).sum()) if len(columns) > 1 else None
        return Panel(self.measure, self.problems, linearise(columns), n_informative=n_informative)


def _tabulate(
    measure: str, units: Sequence[Unit], replicates: tuple[int, ...], metric: OfResponses, store: Store
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


def _pool(units: Sequence[Unit], metric: OfResponses, store: Store) -> tuple[tuple[str, ...], list[Array]]:
    """The mean per problem over all samples of these units of one policy; a scores artifact counts once."""
    found = [tabulate(metric, unit, store) for unit in {unit.scores: unit for unit in units}.values()]
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
