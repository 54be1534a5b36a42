"""The tables of a study → what the report is asked to tabulate: columns, and the cells and checkpoints of the rows.

Guaranteed: every selector has a cell, and every row is one cell at one checkpoint. What does not is a problem
with its place.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.errors import shown, suggest
from pipeline.locate import PathTuple
from pipeline.plan.cells import STEP, check_selector, chosen_levels
from pipeline.plan.request.references import References
from pipeline.request.figures import JOINED, TableRequest
from pipeline.spec.figures import TableSpec
from pipeline.spec.levels import Problems
from pipeline.spec.study import Study


def compile_table(name: str, spec: TableSpec, references: References) -> TableRequest | None:
    """A table whose columns some row has each; None after noting what is wrong."""
    path: PathTuple = ("tables", name)
    columns = [references.column(text, (*path, "columns", i)) for i, text in enumerate(spec.columns)]
    known_columns = tuple(column for column in columns if column is not None)
    study, problems = references.study, references.problems
    before = len(problems)
    known = (*study.factors, STEP)
    for i, factor in enumerate(spec.rows):
        if factor not in known:
            problems.add((*path, "rows", i), f"factor {factor!r} is unknown", suggest(factor, known))
    _check_checkpoints(study, spec.where, (*path, "where"), problems)
    for i, selector in enumerate(spec.cells):
        _check_checkpoints(study, selector, (*path, "cells", i), problems)
    if len(problems) > before or len(known_columns) < len(columns):
        return None
    selectors = [{**spec.where, **selector} for selector in spec.cells or ({},)]
    if references.metrics.is_whole:
        _check_rows(name, spec, selectors, problems, references)
    cells = tuple(
        ({f: chosen_levels(v) for f, v in selector.items() if f != STEP}, _steps_in(selector))
        for selector in selectors
    )
    places = [place for where, _ in cells for place in references.places_of(where)]
    for i, (measure, metric) in enumerate(known_columns):
        names = measure.split(JOINED) if measure else tuple(study.measures)
        references.metrics.check_found(metric, [names], places, f"table {name!r}", (*path, "columns", i))
    return TableRequest(
        name=name,
        title=spec.title or name.replace("_", " "),
        caption=spec.caption,
        rows=spec.rows,
        columns=known_columns,
        cells=cells,
        published=spec.published,
    )


def _check_checkpoints(
    study: Study, selector: Mapping[str, Any], path: PathTuple, problems: Problems
) -> None:
    """Note unknown factors, levels and steps that are none."""
    check_selector(study, selector, path, problems, steps=True)
    if not all(type(step) is int for step in _steps_in(selector)):
        what = f"step: {shown(selector[STEP])} is no checkpoint"
        problems.add((*path, STEP), what, "Write a step, or a list of steps.")


def _check_rows(
    name: str,
    spec: TableSpec,
    cells: Sequence[Mapping[str, Any]],
    problems: Problems,
    references: References,
) -> None:
    """Note a selector without a cell, and a row that several cells would share."""
    measured = references.places
    rows: set[tuple[str | int | None, ...]] = set()
    for i, selector in enumerate(cells):
        path = ("tables", name, "cells", i) if spec.cells else ("tables", name)
        found = [
            tuple(step if f == STEP else cell.level(f) for f in spec.rows)
            for cell in references.cells.match(selector)
            for step in _steps_in(selector) or (None,)
            if (cell, step) in measured
        ]
        matched = references.cells.match(selector)
        for step in _steps_in(selector) if found else ():
            if not any((cell, step) in measured for cell in matched):
                what = f"table {name!r}: no cell has a checkpoint {step}"
                place = path if spec.cells and STEP in spec.cells[i] else ("tables", name, "where")
                problems.add((*place, STEP), what, "Name steps that the RL level publishes.")
        if not found or len({*rows, *found}) < len(rows) + len(found):
            what = "has rows that are several cells" if found else "has no cell"
            remedy = "Change rows, cells or where."
            problems.add(path, f"table {name!r} {what}", remedy, key=not spec.cells)
            return
        rows |= set(found)


def _steps_in(selector: Mapping[str, Any]) -> tuple[Any, ...]:
    """The checkpoints that a selector names."""
    step = selector.get(STEP)
    return step if isinstance(step, tuple) else () if step is None else (step,)
