"""Tables that one stage leaves for the next or for its own next attempt: opened, counted, written whole.

A working file that cannot be read (a full disk, a machine that lost power) is named and made again, never
counted as done; where later files were made from it, the job stops and says what to move away.
Refused: a file that cannot be read, lacks a column or has no row.
"""

from __future__ import annotations

import sys
from pathlib import Path

import polars as pl

from pipeline.errors import InputError, StageError
from pipeline.store.atomic import replaced_file


def scan_columns(source: Path, columns: tuple[str, ...]) -> pl.LazyFrame:
    """The named columns of a table, lazily; InputError where it is broken or lacks one."""
    try:
        rows = pl.scan_parquet(source)
        present = rows.collect_schema().names()
    except (OSError, pl.exceptions.PolarsError) as error:
        raise InputError(f"{source}: not readable: {error}", "Sample again.") from None
    missing = [column for column in columns if column not in present]
    if missing:
        raise InputError(f"{source}: column {missing[0]!r} is missing", f"Found: {', '.join(present)}.")
    return rows.select(columns)


def count_responses(rows: pl.LazyFrame, source: Path) -> int:
    """How many rows there are; none is refused."""
    total = int(rows.select(pl.len()).collect().item())
    if total == 0:
        raise InputError(f"{source}: no responses", "Sample again, with at least one problem.")
    return total


def mean_of(column: pl.Series) -> float | None:
    """The mean of a column of numbers, or of yes and no; None where it holds none."""
    mean = column.mean()
    assert mean is None or isinstance(mean, float)
    return mean


def is_whole(path: Path) -> bool:
    """Whether an earlier attempt left this working file; a damaged one is named and removed."""
    if not path.exists():
        return False
    try:
        pl.read_parquet(path)
    except (OSError, pl.exceptions.PolarsError) as problem:
        reason = str(problem).splitlines()[0]
        print(f"{path}: damaged, what it held is made again: {reason}", file=sys.stderr)
        path.unlink()
        return False
    return True


def read_made(path: Path) -> tuple[pl.DataFrame, dict[str, str]]:
    """A working file from which later ones were made, and its notes; StageError where it is damaged."""
    try:
        return pl.read_parquet(path), pl.read_parquet_metadata(path)
    except (OSError, pl.exceptions.PolarsError) as problem:
        raise StageError(
            f"{path}: damaged: {str(problem).splitlines()[0]}",
            f"Move {path.parent} away and run again; what it holds is made again.",
        ) from problem


def write_frame(path: Path, frame: pl.DataFrame, note: dict[str, str] | None = None) -> None:
    """Write a Parquet file that appears only when it is whole; StageError where the disk refuses."""
    try:
        with replaced_file(path) as scratch:
            frame.write_parquet(scratch, metadata=note)
    except OSError as problem:
        raise StageError(
            f"{path}: cannot be written: {problem}", "Free some disk space and run again."
        ) from problem
