"""Columns of a source: found by the names of a map, reached inside records, read as text.

Guarantees: whole floats lose their .0. Refuses, naming the field: a missing column (with the nearest), a column of lists or
records where text is needed.
"""

from __future__ import annotations

import polars as pl

from pipeline.datasets import Column
from pipeline.engines.rows import ROW
from pipeline.errors import InputError, suggest


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


def find_type(name: str, schema: pl.Schema) -> pl.DataType | None:
    """The type of a column or of a field of a struct column; None where there is none."""
    if name in schema:
        return schema[name]
    outer, *inner = name.split(".")
    dtype: pl.DataType | None = schema.get(outer)
    for part in inner:
        fields = dtype.fields if isinstance(dtype, pl.Struct) else []
        dtype = next((f.dtype for f in fields if f.name == part), None)
    return dtype if inner else None


def read_column(name: str, frame: pl.DataFrame) -> tuple[pl.Expr, pl.DataType]:
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
    """A column as text; whole floats lose their .0; lists and structs are refused."""
    expression, dtype = read_column(name, frame)
    if isinstance(dtype, (pl.List, pl.Struct, pl.Array)):
        holds = "records" if isinstance(dtype, pl.Struct) else "lists"
        raise InputError(
            f"{source}: field {name!r} holds {holds}, not text",
            "Name a field of text, or read the first element of a list with {gold: first_of_list}.",
        )
    if dtype.is_float():
        whole = expression.cast(pl.Int64, strict=False)
        return pl.when(expression == whole).then(whole.cast(pl.String)).otherwise(expression.cast(pl.String))
    return expression.cast(pl.String)


def read_joined(name: str, frame: pl.DataFrame, source: str) -> pl.Expr:
    """A column as text; the elements of a list joined by commas."""
    expression, dtype = read_column(name, frame)
    if isinstance(dtype, pl.List):
        return expression.cast(pl.List(pl.String)).list.join(", ")
    return read_text(name, frame, source)
