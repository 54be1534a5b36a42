"""Read local files in batches: JSON lines, a JSON list, Parquet.

Guarantees: memory of one batch (a JSON list is held whole: it is one value); a field that a batch lacks and an
earlier one had is null; whole numbers too long for a machine are text; NaN, which pandas writes for a missing value,
is null, and so is {} in a field that holds nothing else. Refuses with file and line: bad JSON, a line that is no
object, an empty file, a suffix that says nothing; with row and field: one that is kept and is of several kinds.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from pipeline.engines.rows.parquet import BATCH_ROWS, read_tables, to_frame
from pipeline.errors import InputError

if TYPE_CHECKING:
    from polars._typing import PolarsDataType

BATCH_BYTES = 32 * 2**20

MACHINE_DIGITS = 18
"""Whole numbers of more characters may not fit into 64 bits."""

_UNFIT = (pl.exceptions.PolarsError, TypeError, UnicodeError)
"""What polars raises for values that have no common type or are no text."""

KeepColumns = Callable[[pl.Schema], list[str]]
"""Given a source's columns, those that are read at all."""


def read_file(path: Path, keep: KeepColumns) -> Iterator[pl.DataFrame]:
    """Batches of raw rows of one file; the format is told by the suffix."""
    if not path.is_file():
        raise InputError(f"there is no file {path}", "Check the path; it is relative to where studyc runs.")
    if path.stat().st_size == 0:
        raise InputError(f"{path} is empty", "Give a file with at least one row.")
    readers = {".jsonl": _read_lines, ".ndjson": _read_lines, ".json": _read_list, ".parquet": _read_parquet}
    reader = readers.get(path.suffix)
    if reader is None:
        raise InputError(
            f"{path}: files ending in {path.suffix!r} are not read", f"Known: {', '.join(readers)}."
        )
    yield from reader(path, keep)


_DECODER = json.JSONDecoder(
    parse_int=lambda digits: int(digits) if len(digits) <= MACHINE_DIGITS else digits,
    parse_constant=lambda name: None if name == "NaN" else float(name),
)


def _parse(text: bytes) -> Any:
    return _DECODER.decode(text.decode(json.detect_encoding(text), "surrogatepass"))


def _read_lines(path: Path, keep: KeepColumns) -> Iterator[pl.DataFrame]:
    frames = _Frames(path, keep)
    batch: list[dict[str, Any]] = []
    size = 0
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            batch.append(_parse_line(line, path, number))
            size += len(line)
            if len(batch) >= BATCH_ROWS or size >= BATCH_BYTES:
                yield frames.make(batch)
                batch, size = [], 0
    if batch:
        yield frames.make(batch)


def _parse_line(line: bytes, path: Path, number: int) -> dict[str, Any]:
    try:
        row = _parse(line)
    except (ValueError, RecursionError) as error:
        column = getattr(error, "colno", 1)
        reason = getattr(error, "msg", str(error))
        raise InputError(
            f"{path}:{number}:{column}: this line is no JSON: {reason}", "Mend or remove the line."
        ) from None
    if not isinstance(row, dict):
        raise InputError(f"{path}:{number}:1: this line is a {type(row).__name__}, not an object {{…}}")
    return row


def _read_list(path: Path, keep: KeepColumns) -> Iterator[pl.DataFrame]:
    try:
        rows = _parse(path.read_bytes())
    except (ValueError, RecursionError) as error:
        place = f":{error.lineno}:{error.colno}" if isinstance(error, json.JSONDecodeError) else ""
        remedy = "Mend it; if every line is an object, name the file .jsonl."
        raise InputError(
            f"{path}{place}: this file is no JSON: {getattr(error, 'msg', error)}", remedy
        ) from None
    if not isinstance(rows, list):
        raise InputError(f"{path}: expected a list of objects, found a {type(rows).__name__}")
    for number, row in enumerate(rows, start=1):
        if not isinstance(row, dict):
            raise InputError(
                f"{path}: element {number} of the list is a {type(row).__name__}, not an object {{…}}"
            )
    frames = _Frames(path, keep)
    for start in range(0, len(rows), BATCH_ROWS):
        yield frames.make(rows[start : start + BATCH_ROWS])


def _read_parquet(path: Path, keep: KeepColumns) -> Iterator[pl.DataFrame]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        columns = keep(arrow_columns(pq.read_schema(path)))
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{path} cannot be read as Parquet: {str(error).splitlines()[0]}") from error
    except pl.exceptions.DuplicateError as error:
        raise InputError(
            f"{path}: {str(error).splitlines()[0]}", "Give every column a name of its own."
        ) from error
    for table in read_tables(path, columns):
        yield to_frame(table)


def arrow_columns(schema: Any) -> pl.Schema:
    """The polars columns of an Arrow schema."""
    return to_frame(schema.empty_table()).schema


class _Frames:
    """Frames of a file's rows, batch after batch."""

    def __init__(self, path: Path, keep: KeepColumns) -> None:
        self.path = path
        self.keep = keep
        self.rows = 0
        self.seen: dict[str, pl.DataType] = {}

    def make(self, rows: Sequence[dict[str, Any]]) -> pl.DataFrame:
        """The kept fields of these rows; one that a row lacks is null."""
        unfit: dict[str, pl.DataType] = {}
        try:
            frame = _convert(rows)
        except _UNFIT:
            frame, unfit = self._convert_each(rows)
        lacking = {name: dtype for name, dtype in self.seen.items() if name not in {*frame.columns, *unfit}}
        frame = frame.with_columns(pl.lit(None, dtype=dtype).alias(name) for name, dtype in lacking.items())
        self.seen |= {name: dtype for name, dtype in frame.schema.items() if dtype != pl.Null}
        kept = self.keep(pl.Schema({**frame.schema, **unfit}))
        for name in kept:
            if name in unfit:
                raise self._misfit(name, rows)
        self.rows += len(rows)
        return frame.select(kept)

    def _convert_each(self, rows: Sequence[dict[str, Any]]) -> tuple[pl.DataFrame, dict[str, pl.DataType]]:
        """The fields that make a column, and those that make none."""
        columns: list[pl.DataFrame] = []
        unfit: dict[str, pl.DataType] = {}
        for name in dict.fromkeys(name for row in rows for name in row):
            try:
                columns.append(_convert([{name: row.get(name)} for row in rows]))
            except _UNFIT:
                unfit[name] = pl.Object()
        return pl.concat(columns, how="horizontal") if columns else pl.DataFrame(), unfit

    def _misfit(self, name: str, rows: Sequence[dict[str, Any]]) -> InputError:
        """Says which row's value does not go with those before it, or is no text."""
        remedy = (
            "Write every row of a field as the same kind of value, or leave the field out with fields.extra."
        )
        kinds: dict[str, int] = {}
        for number, row in enumerate(rows, start=self.rows + 1):
            if (value := row.get(name)) is None:
                continue
            kinds.setdefault(_kind(value), number)
            if len(kinds) > 1:
                (one, first), (other, second) = kinds.items()
                return InputError(
                    f"{self.path}: field {name!r} holds {one} in row {first} and {other} in row {second}",
                    remedy,
                )
            try:
                _convert([{name: value}])
            except UnicodeError:
                return InputError(
                    f"{self.path}: field {name!r} of row {number} is no text: it holds half of a character (\\ud800 to \\udfff)",
                    "Mend the row.",
                )
            except _UNFIT:
                return InputError(
                    f"{self.path}: field {name!r} of row {number} mixes kinds of values", remedy
                )
        return InputError(f"{self.path}: field {name!r} mixes kinds of values from row to row", remedy)


def _convert(rows: Sequence[dict[str, Any]]) -> pl.DataFrame:
    frame = pl.from_dicts(rows, infer_schema_length=None, strict=False)
    if any(_lacks_fields(dtype) for dtype in frame.dtypes):
        filled = [{name: _without_empty(value) for name, value in row.items()} for row in rows]
        frame = pl.from_dicts(filled, infer_schema_length=None, strict=False)
    return frame


def _lacks_fields(dtype: PolarsDataType) -> bool:
    """Whether a type holds records that are all {}, which Parquet does not know."""
    if isinstance(dtype, pl.Struct):
        return not dtype.fields or any(_lacks_fields(field.dtype) for field in dtype.fields)
    return isinstance(dtype, pl.List) and _lacks_fields(dtype.inner)


def _without_empty(value: Any) -> Any:
    """The value with null for every {} in it."""
    if isinstance(value, dict):
        return {name: _without_empty(inner) for name, inner in value.items()} or None
    return [_without_empty(inner) for inner in value] if isinstance(value, list) else value


def _kind(value: Any) -> str:
    return (
        "a list" if isinstance(value, list) else "a record" if isinstance(value, dict) else "text or a number"
    )
