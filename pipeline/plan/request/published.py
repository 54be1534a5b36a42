"""Numbers that a paper printed → what the report shows beside ours.

Guaranteed: every published number that claims a cell of ours has exactly one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from pipeline.errors import shown
from pipeline.locate import PathTuple
from pipeline.plan.cells import STEP, chosen_levels
from pipeline.plan.request.metrics import is_share
from pipeline.plan.request.references import References
from pipeline.request.figures import JOINED, MEASURE, Published
from pipeline.request.metrics import OfResponses
from pipeline.spec.figures import PublishedSpec
from pipeline.spec.levels import Problems
from pipeline.spec.study import Study


def compile_published(index: int, spec: PublishedSpec, references: References) -> Iterator[Published]:
    """The numbers of one entry; what is wrong with it is noted, and left out."""
    path: PathTuple = ("published", index)
    label = spec.label or ""
    if spec.value is not None:
        measures = references.measures(spec.measure, (*path, MEASURE))
        metric = references.metric(
            spec.metric, (*path, "metric"), measures or tuple(references.study.measures)
        )
        if metric is not None and references.is_cell(spec.cell, (*path, "cell")):
            yield _make_number(spec, spec.cell, label, (JOINED.join(measures), metric), spec.value)
        return
    columns = [references.column(text, (*path, "columns", i)) for i, text in enumerate(spec.columns)]
    for i, row in enumerate(spec.rows):
        if not _has_values(row, len(spec.columns), (*path, "rows", i), references.problems):
            continue
        own = {factor: level for factor, level in row.items() if factor not in ("values", "label")}
        cell = {**spec.cell, **own}
        is_ours = bool(own) or not row.get("label")
        if is_ours and not references.is_cell(cell, (*path, "rows", i)):
            continue
        words = str(row.get("label") or _call_row(cell, own, references.study))
        words = " ".join(filter(None, (label, words)))
        for column, value in zip(columns, row["values"], strict=True):
            if column is not None and value is not None:
                yield _make_number(spec, cell if is_ours else {}, words, column, value, is_ours=is_ours)


def _call_row(cell: Mapping[str, Any], own: Mapping[str, Any], study: Study) -> str:
    """A row of a published table in the study's words: its own levels, after the model where all rows share one."""
    named = {factor: cell[factor] for factor in study.chain[:1] if factor in cell} | dict(own)
    return " · ".join(f"{f}: none" if level == "none" else str(level) for f, level in named.items())


def _has_values(row: Mapping[str, Any], columns: int, path: PathTuple, problems: Problems) -> bool:
    """Whether a published row has a finite number, or nothing, for each column; what is wrong is noted."""
    values = row.get("values")
    if not isinstance(values, tuple) or len(values) != columns:
        what = (
            "the row lacks 'values'"
            if values is None
            else f"the row has {shown(values)} for {columns} columns"
        )
        problems.add((*path, "values"), what, "Write values: [a, b, …], one per column.")
        return False
    before = len(problems)
    for i, value in enumerate(values):
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if value is not None and not (is_number and math.isfinite(value)):
            what = f"the value {shown(value)} is no number"
            problems.add((*path, "values", i), what, "Leave what the paper lacks empty (~).")
    return len(problems) == before


def _make_number(
    spec: PublishedSpec,
    cell: Mapping[str, Any],
    label: str,
    column: tuple[str, OfResponses],
    value: float,
    *,
    is_ours: bool = True,
) -> Published:
    """A published number as the report shows it, beside ours where a cell of the study answers to it."""
    measure, metric = column
    is_percent = spec.unit == "percent" and is_share(metric)
    step = cell.get(STEP)
    return Published(
        label=label or " · ".join(str(level) for level in cell.values()),
        cell={f: chosen_levels(level)[0] for f, level in cell.items() if f != STEP},
        metric=metric,
        value=value / 100 if is_percent else float(value),
        source=spec.source,
        measure=measure or None,
        step=step if isinstance(step, int) else None,
        is_ours=is_ours,
    )
