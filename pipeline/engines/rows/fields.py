"""From raw columns to ours, one batch at a time: the columns' names, the text, the gold answer.

Guarantees: the order of the source; text columns are text; whole floats lose their .0.
Refuses, naming the field or the row: a missing column (with the nearest), a column of lists where text
is needed, a gold answer that is missing, or no number where the map says number.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import polars as pl
import polars.selectors as cs

from pipeline.datasets import OURS, Column, FieldMap, RowCondition
from pipeline.engines.rows.columns import find_column, read_column, read_joined, read_text, to_text
from pipeline.engines.rows.dropped import DroppedRows
from pipeline.engines.rows.store import ROW
from pipeline.errors import InputError
from pipeline.grading import BOXES, find_box

_COLUMN = re.compile(r"\{([\w.]+)\}")
_OPTIONAL = re.compile(r"\[\[(.*?)\]\]", re.DOTALL)
_ANY_BOX = re.compile(r"\\(?:boxed|fbox)(?:\s*\{|\s+(?P<bare>[^\s${}\\]+))")


def needed_columns(
    fields: FieldMap, row_filter: Sequence[RowCondition], schema: pl.Schema, source: str
) -> list[str]:
    """The source columns that mapping reads, so that a reader can leave the others alone."""
    if fields.extra is None:
        return list(schema)
    roles: list[tuple[Column | None, str]] = [
        (fields.id, "id"),
        (None if fields.template else fields.problem, "problem"),
        (fields.body, "body"),
        *((column, "problem's template") for column in _COLUMN.findall(fields.template or "")),
        (fields.answer, "answer"),
        (fields.solution, "solution"),
        *((c, "extra column") for c in fields.extra),
        *((c.column, "row filter") for c in row_filter),
    ]
    found = {find_column(column, schema, role, source) for column, role in roles} - {None}
    return [name for name in schema if name in found or any(f.startswith(f"{name}.") for f in found if f)]


def map_batch(
    raw: pl.DataFrame,
    fields: FieldMap,
    row_filter: Sequence[RowCondition],
    source: str,
    first_row: int,
    dropped: DroppedRows,
) -> pl.DataFrame:
    """Our columns of one batch; `first_row` counts from 1; rows left out are added to `dropped`."""
    answer = find_column(fields.answer, raw.schema, "answer", source)
    frame = raw.with_row_index(ROW, offset=first_row)
    for condition in row_filter:
        keep = _meets(condition, frame, source)
        dropped.add("row_filter", _row_names(frame.filter(~keep)))
        frame = frame.filter(keep)
    mapped = frame.select(
        _id(frame, fields, source),
        _problem(frame, fields, source),
        _gold(frame, answer, fields, source),
        _solution(frame, fields, source),
        *_extras(frame, fields, answer, source),
        pl.col(ROW),
    )
    mapped = mapped.with_columns((cs.categorical() | cs.enum()).cast(pl.String))  # filters compare texts
    if fields.gold_in_problem:
        mapped = _move_gold(mapped)
    return _without_missing(mapped, fields, answer, source, dropped)


def last_boxed(text: str | None) -> str | None:
    r"""The content of a solution's last closed box alone, also of `\boxed 5` without braces.

    Not what the grader reads in a response, where boxes side by side are one answer: a solution's are often
    the same number written twice (MATH: "$\boxed{15\frac{39}{40}},$ or $\boxed{\frac{639}{40}}$").
    """
    for box in reversed(list(_ANY_BOX.finditer(text or ""))[-BOXES:]):
        if found := box["bare"] or find_box((text or "")[box.start() :]):
            return found
    return None


def _row_names(frame: pl.DataFrame) -> list[str]:
    return [f"row {row}" for row in frame[ROW].to_list()]


def _meets(condition: RowCondition, frame: pl.DataFrame, source: str) -> pl.Expr:
    name = find_column(condition.column, frame.schema, "row filter", source)
    if name is None:
        raise InputError(f"{source}: there is no field {condition.column!r} to filter by")
    if condition.contains is not None:
        return read_text(name, frame, source).str.contains(condition.contains, literal=True).fill_null(False)
    wanted = condition.equals
    expression, dtype = read_column(name, frame)
    if (dtype != pl.Null and isinstance(wanted, str) != (dtype == pl.String)) or dtype.is_nested():
        holds, remedy = (
            ("text", f"Write '{wanted}'.") if dtype == pl.String else (dtype, "Write a value of that type.")
        )
        raise InputError(f"{source}: field {name!r} holds {holds}, compared with {wanted!r}", remedy)
    return (expression == pl.lit(wanted)).fill_null(False)


def _id(frame: pl.DataFrame, fields: FieldMap, source: str) -> pl.Expr:
    name = find_column(fields.id, frame.schema, "id", source)
    if name is None:
        return pl.lit(None, dtype=pl.String).alias("id")
    text = read_text(name, frame, source)
    blank = frame.filter(text.str.strip_chars().fill_null("") == "")
    if len(blank):
        raise InputError(
            f"{source}: {_row_names(blank)[0]} has no {name!r}", "Fill it, or use {fields: {id: null}}."
        )
    return text.alias("id")


def _problem(frame: pl.DataFrame, fields: FieldMap, source: str) -> pl.Expr:
    if fields.template is not None:
        text = _fill(fields.template, frame, source).str.strip_chars()
        return pl.when(text != "").then(text).alias("problem")
    name = find_column(fields.problem, frame.schema, "problem", source)
    text = read_text(name or "problem", frame, source).str.strip_chars()
    body_name = find_column(fields.body, frame.schema, "body", source)
    if body_name is not None:
        body = read_text(body_name, frame, source).str.strip_chars().fill_null("")
        ended = body.str.contains(r"[.!?:;,]$")
        text = (
            pl.when(body == "").then(text).when(ended).then(body + " " + text).otherwise(body + ". " + text)
        )
    return pl.when(text != "").then(text).alias("problem")


def _fill(template: str, frame: pl.DataFrame, source: str) -> pl.Expr:
    """A template with its columns; null where a column outside [[ ]] is null."""
    parts = []
    for i, part in enumerate(_OPTIONAL.split(template)):  # odd parts stand in [[ ]]
        pieces = _COLUMN.split(part)
        names = [
            find_column(name, frame.schema, "problem's template", source) or name for name in pieces[1::2]
        ]
        texts = [read_joined(name, frame, source) for name in names]
        woven = [
            text for pair in zip(map(pl.lit, pieces[::2]), [*texts, pl.lit("")], strict=True) for text in pair
        ]
        text = pl.concat_str(woven)
        if i % 2:
            is_empty = pl.any_horizontal(pl.lit(False), *(t.fill_null("") == "" for t in texts))
            text = pl.when(is_empty).then(pl.lit("")).otherwise(text)
        parts.append(text)
    return pl.concat_str(parts)


def _gold(frame: pl.DataFrame, answer: str | None, fields: FieldMap, source: str) -> pl.Expr:
    """The gold answer as text, null where there is none; raises for what is no number where one is due."""
    if answer is None:
        return pl.lit(None, dtype=pl.String).alias("answer")
    if fields.gold == "first_of_list":
        text = _first_of_list(answer, frame, source)
    else:
        text = read_text(answer, frame, source)
    if fields.gold == "after_hashes":
        parts = text.str.split("####")
        text = pl.when(parts.list.len() > 1).then(parts.list.last().str.replace_all(",", "", literal=True))
    elif fields.gold == "last_boxed":
        text = text.map_elements(last_boxed, return_dtype=pl.String)
    text = text.str.strip_chars()
    if fields.unwrap_math:
        text = text.str.replace(r"^\$([^$]+)\$$", "${1}").str.strip_chars()
    if fields.golds:
        text = text.replace(dict(fields.golds))
    if fields.gold in ("number", "integer"):
        text = _number(text, frame, fields.gold, source)
    return pl.when(text != "").then(text).alias("answer")


def _first_of_list(name: str, frame: pl.DataFrame, source: str) -> pl.Expr:
    expression, dtype = read_column(name, frame)
    if isinstance(dtype, pl.Array):
        expression, dtype = expression.arr.to_list(), pl.List(dtype.inner)
    if isinstance(dtype, pl.List):
        return to_text(expression.list.first(), dtype.inner, name, frame, source)
    return to_text(expression, dtype, name, frame, source)


def _number(text: pl.Expr, frame: pl.DataFrame, kind: str, source: str) -> pl.Expr:
    bare = text.str.replace_all(r"[,$]", "").str.strip_chars()
    pattern = r"^[+-]?\d+(\.0*)?$" if kind == "integer" else r"^[+-]?(\d+\.?\d*|\.\d+)$"
    wrong = frame.select(pl.col(ROW), text.alias("gold")).filter(
        (pl.col("gold") != "") & ~_has_form(pl.col("gold"), pattern)
    )
    if len(wrong):
        row, gold = wrong.row(0)
        raise InputError(
            f"{source}: the gold answer of row {row} is {gold!r}, which is no {kind}",
            "Read it with {gold: as_is}, or mend the row.",
        )
    whole = bare.str.replace(r"\.0*$", "").str.replace(r"^([+-]?)0+(\d)", "${1}${2}").str.replace(r"^\+", "")
    return whole


def _has_form(text: pl.Expr, pattern: str) -> pl.Expr:
    """Whether a number's text, without commas and dollar signs, has this form."""
    return text.str.replace_all(r"[,$]", "").str.strip_chars().str.contains(pattern)


def _solution(frame: pl.DataFrame, fields: FieldMap, source: str) -> pl.Expr:
    name = find_column(fields.solution, frame.schema, "solution", source)
    if name is None:
        return pl.lit(None, dtype=pl.String).alias("solution")
    return read_text(name, frame, source).alias("solution")


def _extras(frame: pl.DataFrame, fields: FieldMap, answer: str | None, source: str) -> list[pl.Expr]:
    if fields.extra is None:
        problem = None if fields.template else find_column(fields.problem, frame.schema, "problem", source)
        read = {answer, problem}
        return [pl.col(c) for c in frame.columns if c not in OURS and c != ROW and c not in read]
    found = [find_column(column, frame.schema, "extra column", source) for column in fields.extra]
    kept: dict[str, str] = {}
    for column in filter(None, found):
        kept.setdefault(column.split(".")[-1], column)  # of `level` and `extra_info.level` the first is read
    return [read_column(column, frame)[0].alias(name) for name, column in kept.items()]


def _move_gold(mapped: pl.DataFrame) -> pl.DataFrame:
    """Where the gold is blank and the problem ends in 'Answer: …', move it from the problem's text."""
    pattern = r"(?i)\s*answers?:\s*([^\n]+?)\s*$"
    found = pl.col("problem").str.extract(pattern, 1).str.replace(r"^\$([^$]+)\$$", "${1}")
    moved = pl.col("answer").is_null() & found.is_not_null()
    return mapped.with_columns(
        answer=pl.when(moved).then(found).otherwise(pl.col("answer")),
        problem=pl.when(moved).then(pl.col("problem").str.replace(pattern, "")).otherwise(pl.col("problem")),
    )


def _without_missing(
    mapped: pl.DataFrame, fields: FieldMap, answer: str | None, source: str, dropped: DroppedRows
) -> pl.DataFrame:
    """Refuse, drop or keep rows without a gold answer; rows without a problem are never kept."""
    checks: Iterable[tuple[str, str]] = [("problem", "problem")]
    if answer is not None and fields.missing != "keep":
        checks = [*checks, ("answer", "gold answer")]
    for column, what in checks:
        lacking = mapped.filter(pl.col(column).is_null())
        if lacking.is_empty():
            continue
        if fields.missing == "refuse":
            name = lacking["id"][0]
            shown = _row_names(lacking)[0] + (f" (id {name!r})" if name is not None else "")
            raise InputError(
                f"{source}: {shown} has no {what}",
                "Mend the row, or leave such rows out with {fields: {missing: drop}}.",
            )
        dropped.add(f"no {what}", _row_names(lacking))
        mapped = mapped.filter(pl.col(column).is_not_null())
    return mapped
