"""Read local files in batches: JSON lines, a JSON list, Parquet.

Guarantees: memory of one batch (a JSON list is held whole: it is one value). Refuses with file and line:
bad JSON, a line that is no object, an empty file, a suffix that says nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl

from pipeline.engines.row_parquet import BATCH_ROWS, read_tables, to_frame
from pipeline.errors import InputError

BATCH_BYTES = 32 * 2**20

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


def _read_lines(path: Path, keep: KeepColumns) -> Iterator[pl.DataFrame]:
    batch: list[dict[str, Any]] = []
    size = 0
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            batch.append(_parse_line(line, path, number))
            size += len(line)
            if len(batch) >= BATCH_ROWS or size >= BATCH_BYTES:
                yield _frame(batch, keep)
                batch, size = [], 0
    if batch:
        yield _frame(batch, keep)


def _parse_line(line: bytes, path: Path, number: int) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except ValueError as error:
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
        rows = json.loads(path.read_bytes())
    except ValueError as error:
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
    for start in range(0, len(rows), BATCH_ROWS):
        yield _frame(rows[start : start + BATCH_ROWS], keep)


def _read_parquet(path: Path, keep: KeepColumns) -> Iterator[pl.DataFrame]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        columns = keep(arrow_columns(pq.read_schema(path)))
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{path} cannot be read as Parquet: {str(error).splitlines()[0]}") from error
    for table in read_tables(path, columns):
        yield to_frame(table)


def arrow_columns(schema: Any) -> pl.Schema:
    """The polars columns of an Arrow schema."""
    return to_frame(schema.empty_table()).schema


def _frame(rows: list[dict[str, Any]], keep: KeepColumns) -> pl.DataFrame:
    """A frame of all keys of all rows; a key that a row lacks is null."""
    frame = pl.from_dicts(rows, infer_schema_length=None, strict=False)
    return frame.select(keep(frame.schema))
