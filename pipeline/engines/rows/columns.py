"""Columns of a source: found by the names of a map, reached inside records, read as text.

Guarantees: whole floats lose their .0; NaN is no value. Refuses, naming the field: a missing column (with the nearest);
with the row, too: lists or records where text is needed, bytes that are no text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from pipeline.datasets import Column
from pipeline.engines.rows.store import ROW
from pipeline.errors import InputError, suggest

if TYPE_CHECKING:
    from polars._typing import PolarsDataType


def find_column(column: Column | None, schema: pl.Schema, role: str, source: str) -> str | None:
    """The column of the source that a map names; None where it names none or an optional one is missing."""
    if column is None:
        return None
    wanted = (column,) if isinstance(column, str) else column
    for name in wanted:
        bare = name.removesuffix("?")
        if find_type(bare, schema) is not None:
            return bare
    if any(name.endswith("?") for name in wanted):
        return None
    tried = " or ".join(repr(name) for name in wanted)
    fields = [name for name in schema if name != ROW]
    near = suggest(wanted[0].removesuffix("?"), fields)
    exist = "" if near.startswith("Known") else f" Fields here: {', '.join(fields)}."
    none = " A set without gold answers says so: {fields: {answer: null}}." if role == "answer" else ""
    raise InputError(f"{source}: there is no field {tried} (wanted as {role})", f"{near}{exist}{none}")


def find_type(name: str, schema: pl.Schema) -> PolarsDataType | None:
    """The type of a column or of a field of a struct column; None where there is none."""
    if name in schema:
        return schema[name]
    outer, *inner = name.split(".")
    dtype: PolarsDataType | None = schema.get(outer)
    for part in inner:
        fields = dtype.fields if isinstance(dtype, pl.Struct) else []
        dtype = next((f.dtype for f in fields if f.name == part), None)
    return dtype if inner else None


def read_column(name: str, frame: pl.DataFrame) -> tuple[pl.Expr, PolarsDataType]:
    """A column, or a field of a struct column, with its type."""
    dtype = find_type(name, frame.schema)
    if dtype is None:
        raise InputError(f"there is no field {name!r}", suggest(name, frame.columns))
    if name in frame.schema:
        return pl.col(name), dtype
    outer, *inner = name.split(".")
    expression = pl.col(outer)
    for part in inner:
        expression = expression.struct.field(part)
    return expression, dtype


def read_text(name: str, frame: pl.DataFrame, source: str) -> pl.Expr:
    """A column as text, null for NaN; whole floats lose their .0; what is no text is refused with its row."""
    return to_text(*read_column(name, frame), name, frame, source)


def to_text(
    expression: pl.Expr, dtype: PolarsDataType, name: str, frame: pl.DataFrame, source: str
) -> pl.Expr:
    """The same of what is computed from a column of this name."""
    if dtype.is_nested():
        holds = "records" if isinstance(dtype, pl.Struct) else "lists"
        place = _first_row(frame, expression.is_not_null())
        raise InputError(
            f"{source}: field {name!r} holds {holds}, not text{place}",
            "Name a field of text, or read the first element of a list with {gold: first_of_list}.",
        )
    if dtype == pl.Binary:
        _check_bytes(expression, name, frame, source)
    if dtype.is_float():
        whole = expression.cast(pl.Int64, strict=False)
        text = pl.when(expression == whole).then(whole.cast(pl.String)).otherwise(expression.cast(pl.String))
        return pl.when(expression.is_not_nan()).then(text)
    return expression.cast(pl.String)


def _check_bytes(expression: pl.Expr, name: str, frame: pl.DataFrame, source: str) -> None:
    """Refuse bytes that are no text."""
    for row, value in frame.select(ROW, expression.alias("bytes")).drop_nulls().iter_rows():
        try:
            value.decode()
        except UnicodeDecodeError:
            raise InputError(
                f"{source}: field {name!r} of row {row} holds bytes that are no text", "Write it as UTF-8."
            ) from None


def _first_row(frame: pl.DataFrame, is_meant: pl.Expr) -> str:
    """Where the first row that is meant stands in the source; nothing where there is none."""
    found = frame.filter(is_meant)
    return f" (row {found[ROW][0]})" if len(found) else ""


def read_joined(name: str, frame: pl.DataFrame, source: str) -> pl.Expr:
    """A column as text; the elements of a list joined by commas."""
    expression, dtype = read_column(name, frame)
    if isinstance(dtype, pl.List) and not dtype.inner.is_nested():
        return expression.cast(pl.List(pl.String)).list.join(", ")
    return read_text(name, frame, source)
