"""From units to sides: which values stand on each side of a claim, a figure's point or a table's cell.

Units of one cell whose replicates share a policy are one checkpoint sampled more often: their samples are
pooled. Several cells on one side are averaged with equal weight per (replicate, problem). A problem without
a value in some replicate is left out of that side.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from pipeline.claims import Evidence
from pipeline.report.artifacts import Store
from pipeline.report.metrics import Metric, linearise_ratio
from pipeline.report.request import CompiledClaim, Part, Request, Unit
from pipeline.stats import Array, EmptySideError, Panel, Side

CellKey = tuple[tuple[str, str], ...]


def name_unit(unit: Unit) -> str:
    """A unit in words: levels, step, measure, replicate."""
    step = [f"step {unit.step}"] if unit.step is not None else []
    return " · ".join([*unit.cell.values(), *step, unit.measure, f"replicate {unit.replicate}"])


def cell_key(unit: Unit) -> tuple[CellKey, int | None]:
    """What tells two cells (or two checkpoints of one run) apart."""
    return tuple(unit.cell.items()), unit.step


def gather_claim(claim: CompiledClaim, metric: Metric, request: Request, store: Store) -> list[Evidence]:
    """The evidence of each part of a claim, in order."""
    trained = {run.key for run in request.runs}
    return [_gather_part(part, metric, request.units, store, trained) for part in claim.parts]


def _gather_part(
    part: Part, metric: Metric, units: Sequence[Unit], store: Store, trained: set[str]
) -> Evidence:
    sides = [[units[i] for i in indices] for indices in (part.left, part.right)]
    missing = [name_unit(unit) for side in sides for unit in side if store.missing(unit, metric.analysis)]
    if missing:
        return Evidence(missing=tuple(dict.fromkeys(missing)))
    try:
        left = make_side(sides[0], metric, store, trained)
        return Evidence(left=left, right=make_side(sides[1], metric, store, trained) if sides[1] else None)
    except EmptySideError:
        return Evidence(missing=(f"a value of {metric.name} for any response of one side",))


def make_side(units: Sequence[Unit], metric: Metric, store: Store, trained: Iterable[str]) -> Side:
    """One side from finished units: a panel per measure, complete over the replicates that all of them have."""
    by_measure: dict[str, list[Unit]] = {}
    for unit in units:
        by_measure.setdefault(unit.measure, []).append(unit)
    replicates = _shared_replicates(units)
    panels = tuple(_panel(measure, group, replicates, metric, store) for measure, group in by_measure.items())
    known = set(trained)
    first = store.means(units[0], metric.analysis)
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


def _panel(
    measure: str, units: Sequence[Unit], replicates: tuple[int, ...], metric: Metric, store: Store
) -> Panel:
    rows = []
    for cell in _by_cell(units):
        fixed = _is_fixed(cell)
        groups = [cell if fixed else [u for u in cell if u.replicate == r] for r in replicates]
        rows.append([_pool(group, metric, store) for group in groups])
    problems = sorted(set.intersection(*(set(values) for row in rows for values in row)))
    blocks = np.array([[[values[p] for p in problems] for values in row] for row in rows])
    values = linearise_ratio(blocks.mean(axis=0)) if metric.name == "token_efficiency" else blocks.mean(axis=0)
    return Panel(measure, tuple(problems), values)


def _pool(units: Sequence[Unit], metric: Metric, store: Store) -> dict[str, complex]:
    """Problem → the mean over all samples of these units of one policy; a scores artifact counts once."""
    total: dict[str, complex] = {}
    weight: dict[str, float] = {}
    for unit in {unit.scores: unit for unit in units}.values():
        means = store.means(unit, metric.analysis)
        values: Array = metric.per_problem(means)
        for problem, value, samples in zip(means.problems, values, means.samples, strict=True):
            if not np.isnan(value):
                total[problem] = total.get(problem, 0.0) + value * samples
                weight[problem] = weight.get(problem, 0.0) + samples
    return {problem: total[problem] / weight[problem] for problem in total}
