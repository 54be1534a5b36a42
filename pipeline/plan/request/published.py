"""Numbers that a paper printed → what the report shows beside ours."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from pipeline.errors import shown
from pipeline.locate import PathTuple
from pipeline.plan.cells import STEP, chosen_levels
from pipeline.plan.request.metrics import is_share
from pipeline.request.request import Published
from pipeline.spec.figures import PublishedSpec
from pipeline.spec.levels import Problems


def has_values(row: Mapping[str, Any], columns: int, path: PathTuple, problems: Problems) -> bool:
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


def make_number(
    spec: PublishedSpec,
    cell: Mapping[str, Any],
    label: str,
    column: tuple[str, str],
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
