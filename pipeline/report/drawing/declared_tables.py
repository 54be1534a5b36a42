"""The tables that a study declares: cells by columns, the paper's numbers beside ours, other works below."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pipeline.report.drawing.figures import match_published
from pipeline.report.drawing.words import format_value
from pipeline.report.evidence.sides import Group
from pipeline.report.evidence.summaries import Summaries, Summary
from pipeline.request.figures import STEP, Published, TableRequest
from pipeline.request.metrics import OfResponses


@dataclass(frozen=True)
class DeclaredCell:
    """One cell of a declared table, in words: ours with its interval, the paper's number, ours minus theirs."""

    ours: str = "–"
    interval: str = ""
    theirs: str = ""
    difference: str = ""
    is_inside: bool = True


@dataclass(frozen=True)
class DeclaredTable:
    """A declared table in words; rows are (levels, cells), other works' after ours."""

    title: str
    caption: str
    factors: tuple[str, ...]
    columns: tuple[tuple[str, str], ...]
    rows: tuple[tuple[tuple[str, ...], tuple[DeclaredCell, ...]], ...]


def pick_groups(where: Mapping[str, Sequence[str]], groups: Sequence[Group]) -> list[Group]:
    """The cells that a figure or table is about."""
    return [g for g in groups if all(dict(g[0]).get(f) in levels for f, levels in where.items())]


def tabulate_declared(table: TableRequest, summaries: Summaries) -> DeclaredTable:
    """A declared table: a row per cell, ours and the paper's in each column; then other works' rows."""
    columns = [(measure, summaries.shown(metric)) for measure, metric in _columns_of(table, summaries)]
    wanted = {
        group
        for where, steps in table.cells
        for group in pick_groups(where, summaries.groups if steps else summaries.final_groups())
        if not steps or group[1] in steps
    }
    groups = [group for group in summaries.groups if group in wanted]
    trained = {tuple(run.cell.items()) for run in summaries.request.runs}
    rows = []
    for group in groups:
        levels = tuple(_level(group, f, is_trained=group[0] in trained) for f in table.rows)
        numbers = [find_number(summaries, group, measure, metric) for measure, metric in columns]
        cells = tuple(
            _compare(summaries.get(group, measure, metric), number if table.published else None, metric)
            for (measure, metric), number in zip(columns, numbers, strict=True)
        )
        rows.append((levels, cells))
    if table.published:
        rows += _other_rows(table, summaries, columns)
    heads = tuple((measure, metric.label) for measure, metric in columns)
    return DeclaredTable(table.title, table.caption, table.rows, heads, tuple(rows))


def _columns_of(table: TableRequest, summaries: Summaries) -> list[tuple[str, OfResponses]]:
    return [(measure or summaries.measures_and_mean[0], metric) for measure, metric in table.columns]


def _first_with(columns: set[tuple[str, OfResponses]], summaries: Summaries) -> TableRequest | None:
    """The first declared table that has all these columns and shows published numbers."""
    tables = (table for table in summaries.request.tables if table.published)
    return next((table for table in tables if columns <= set(_columns_of(table, summaries))), None)


def _level(group: Group, factor: str, *, is_trained: bool) -> str:
    """What a row says of a factor, or of the checkpoint."""
    if factor == STEP:
        return f"{group[1]:,}" if group[1] is not None else "end" if is_trained else "–"
    return dict(group[0])[factor]


def find_number(summaries: Summaries, group: Group, measure: str, metric: OfResponses) -> Published | None:
    """The paper's number for a cell, where it printed one."""
    for number in summaries.request.published:
        theirs = number.measure or summaries.measures_and_mean[0]
        if number.metric == metric and theirs == measure and match_published(number, summaries) == [group]:
            return number
    return None


def _compare(ours: Summary | None, theirs: Published | None, metric: OfResponses) -> DeclaredCell:
    unit = metric.unit
    paper = "" if theirs is None else format_value(theirs.value, unit)
    if ours is None:
        return DeclaredCell(theirs=paper)
    low, high = ours.interval
    interval = f"{format_value(low, unit)} – {format_value(high, unit)}".replace(" %", "")
    if theirs is None:
        return DeclaredCell(format_value(ours.estimate.value, unit), interval)
    difference = format_value(ours.estimate.value - theirs.value, unit, signed=True)
    is_inside = low <= theirs.value <= high
    return DeclaredCell(format_value(ours.estimate.value, unit), interval, paper, difference, is_inside)


def _other_rows(
    table: TableRequest, summaries: Summaries, columns: Sequence[tuple[str, OfResponses]]
) -> list[tuple[tuple[str, ...], tuple[DeclaredCell, ...]]]:
    """Rows of other works, without ours: of each source of which this is the first table with all its columns."""
    works: dict[tuple[str, str], dict[tuple[str, OfResponses], Published]] = {}
    printed: dict[str, set[tuple[str, OfResponses]]] = {}
    for number in summaries.request.published:
        if not number.is_ours:
            column = (number.measure or summaries.measures_and_mean[0], number.metric)
            works.setdefault((number.source, number.label), {})[column] = number
            printed.setdefault(number.source, set()).add(column)
    rows = []
    for (source, label), numbers in works.items():
        if _first_with(printed[source], summaries) != table:
            continue
        cells = tuple(_compare(None, numbers.get((measure, metric)), metric) for measure, metric in columns)
        if any(cell.theirs for cell in cells):
            rows.append(((label, *[""] * (len(table.rows) - 1)), cells))
    return rows
