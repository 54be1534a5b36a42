"""Sides that are no responses: stretches of training curves, counts in the records of data sets.

A curve's logged steps stand in the place of problems: each is the mean over one batch of rollouts, taken as
independent of the next; with several replicates they are crossed with them like problems. The least or most
of a curve is one number per run and says something only over replicates. A count of k rows of n is k ones and
n − k zeros. Each side says so in its scope.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np
import polars as pl

from pipeline.errors import InputError
from pipeline.report.evidence.results import Store
from pipeline.request.logged import LOGGED
from pipeline.request.page import Request
from pipeline.request.quantities import Curve, Fact
from pipeline.request.units import Run
from pipeline.verdicts.paired import EmptySideError, Panel, Side


def missing_runs(curve: Curve, request: Request, store: Store) -> list[str]:
    """The runs of a curve that are not done, in words."""
    runs = [request.runs[i] for i in curve.runs]
    return [
        f"{' · '.join(r.cell.values())} · {r.stage} · replicate {r.replicate}"
        for r in runs
        if not store.find(r.key)
    ]


def find_column(log: pl.DataFrame, column: str) -> str | None:
    """The name under which a log holds training.COLUMN."""
    names = log["metric"].unique().sort()
    return next((name for name in names if re.fullmatch(LOGGED[column].logged_as, name)), None)


def make_curve_side(curve: Curve, request: Request, store: Store) -> Side:
    """One side from the logs of runs; cells weigh the same, replicates stay apart."""
    runs = [request.runs[i] for i in curve.runs]
    series = {run.key: _read_series(run, curve, store) for run in runs}
    steps = sorted(set.intersection(*(set(found) for found in series.values())))
    if not steps:
        raise EmptySideError("no logged step lies in the stretch", "Name steps that the run logs.")
    cells: dict[tuple[tuple[str, str], ...], dict[int, str]] = {}
    for run in runs:
        cells.setdefault(tuple(run.cell.items()), {})[run.replicate] = run.key
    replicates = tuple(sorted(set.intersection(*(set(keys) for keys in cells.values()))))
    if len({keys[r] for keys in cells.values() for r in replicates}) == len(cells):
        replicates = replicates[:1]
    values = np.mean(
        [[[series[keys[r]][step] for step in steps] for r in replicates] for keys in cells.values()], axis=0
    )
    noise = (
        f"trainings like these ({len(replicates)} replicates)" if len(replicates) > 1 else "these runs only"
    )
    if curve.pick != "mean":
        extreme = values.max(axis=1) if curve.pick == "max" else values.min(axis=1)
        panel = Panel("training", ("run",), extreme[:, None], is_sample=False)
        return Side((panel,), replicates, scope=f"{noise}, each run's {curve.pick} taken as it is")
    name = f"training {curve.first or 0} to {curve.last or 'end'}"
    panel = Panel(name, tuple(f"step {step:08}" for step in steps), values)
    return Side((panel,), replicates, scope=f"{noise}, logged steps taken as independent")


def _read_series(run: Run, curve: Curve, store: Store) -> Mapping[int, float]:
    log = store.read_table(run.key, "log.parquet")
    column = find_column(log, curve.column)
    if column is None:
        raise EmptySideError(f"{run.key} logs no {curve.column}", "Choose another column of the log.")
    rows = log.filter((pl.col("metric") == column) & pl.col("value").is_finite())
    rows = rows.filter(pl.col("step").is_between(curve.first or 0, curve.last or 2**62))
    return dict(zip(rows["step"], rows["value"], strict=True))


def make_fact_side(fact: Fact, store: Store) -> Side:
    """A share of rows (or of problems) from a record's facts, as ones and zeros."""
    count, total = read_count(fact, store)
    values = np.concatenate([np.ones(count), np.zeros(total - count)])[None]
    rows = tuple(
        f"{fact.key} {fact.fact} {i:09}" for i in range(total)
    )  # which of them is not known: paired with none
    panel = Panel(f"data {fact.key} {fact.fact}", rows, values)
    what = "problems" if fact.is_of_problems else "rows"
    return Side((panel,), (0,), trained=False, bounded=True, scope=f"{what} like those of {fact.name}")


def read_count(fact: Fact, store: Store) -> tuple[int, int]:
    """(count, rows in) of a fact; reasons of dropped rows are summed over the filters of one artifact.

    Problems are a share of the problems in: several responses to one problem are one problem covered.
    """
    facts = store.read(fact.key).facts
    total = facts.get("problems_in" if fact.is_of_problems else "rows_in")
    total = sum(total) if isinstance(total, list) else total
    count = facts.get(fact.fact)
    if fact.reason is not None:
        steps = [facts, *facts.get("filters", ())]
        count = sum((step.get("dropped") or {}).get(fact.reason, 0) for step in steps)
    if not isinstance(total, int) or total < 1 or not isinstance(count, int) or not 0 <= count <= total:
        known = [name for name, value in facts.items() if isinstance(value, int)]
        raise InputError(
            f"data {fact.name}: its record has no count {fact.fact!r} of its rows",
            f"It holds: {', '.join(known) or 'no counts'}; dropped.REASON counts a filter's reason.",
        )
    return count, total
