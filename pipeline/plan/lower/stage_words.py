"""Words of a study that stand among a stage's settings: the name of a data entry, a number of rows."""

from __future__ import annotations

from typing import Any

from pipeline.errors import Location, Problem, shown, suggest
from pipeline.spec.levels import Problems
from pipeline.spec.study import Study


def note(problems: Problems, where: Location, what: str, remedy: str) -> None:
    """Note one problem of a value that may be inherited: once for all that inherit it."""
    problems.extend([Problem(what, remedy, where)])


def note_unknown_data(study: Study, problems: Problems, data: Any, where: Location, label: str) -> None:
    """Note that what a level or a measure names is no data entry, unless it is one with errors of its own."""
    if problems.is_broken("data", data):
        return
    is_text = isinstance(data, str)
    remedy = suggest(data, study.spec.data) if is_text else "Write the name of one data entry."
    note(problems, where, f"{label}: data {shown(data)} is unknown", remedy)


def read_rows(problems: Problems, rows: Any, where: Location, label: str) -> int | None:
    """A number of rows; None where none is given, or after noting that it is none."""
    if rows is None or (type(rows) is int and rows >= 1):
        return rows
    what = f"{label}: rows {shown(rows)} is not a number of rows"
    note(problems, where, what, "Write a whole number, e.g. 8_000; `8k` is text.")
    return None
