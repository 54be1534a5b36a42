"""Rows as Parquet, row group by row group: reading, writing, and putting in order what does not fit in memory.

Guarantees: a file appears only when it is whole; memory is bounded by a few row groups, for ordering by one
bucket of rows. Arrow tables move the texts: a polars frame of chosen rows would keep alive all the text of
the rows that were not chosen.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Self

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.errors import InputError
from pipeline.store.atomic import move_file, remove_leftovers, scratch_path

ROW_GROUP = 1024
"""Most rows of one Parquet row group: what a reader or writer of long traces holds at once."""

GROUP_BYTES = 64 * 2**20
"""Bytes of rows after which a row group is written, however few they are."""

BATCH_ROWS = 256
"""Rows that are decoded at once."""

BUCKET_BYTES = 512 * 2**20
"""Uncompressed bytes of rows that are put in order in memory at once."""

LEFT_OUT = -1
"""The rank of a row that is not written."""


class RowWriter:
    """Writes one Parquet file (zstd, level 1) in a thread of its own; `with` makes the file appear or vanish.

    Neither dictionaries nor statistics: long texts do not repeat, and both would cost a second pass over them.
    """

    def __init__(self, target: Path) -> None:
        self.target = target
        self.scratch = scratch_path(target)
        remove_leftovers(target)
        self.rows = 0
        self._writer: pq.ParquetWriter | None = None
        self._pending: list[pa.Table] = []
        self._thread = ThreadPoolExecutor(1)
        self._busy: Future[None] | None = None

    @property
    def schema(self) -> pa.Schema | None:
        """The columns of the file; None before the first row."""
        return None if self._writer is None else self._writer.schema

    def write(self, rows: pa.Table) -> None:
        """Add rows, all of the same columns as the first."""
        if self._writer is None:
            self._writer = pq.ParquetWriter(
                self.scratch, rows.schema, compression="zstd", compression_level=1, use_dictionary=False, write_statistics=False
            )  # fmt: skip
        self.rows += len(rows)
        self._pending.append(rows)
        if (
            sum(map(len, self._pending)) >= ROW_GROUP
            or sum(part.nbytes for part in self._pending) >= GROUP_BYTES
        ):
            self._flush()

    def close(self) -> None:
        """Write what is left and put the file in place."""
        try:
            self._flush()
            self._wait()
        except BaseException:
            self.abandon()
            raise
        self._thread.shutdown()
        if self._writer is not None:
            self._writer.close()
            move_file(self.scratch, self.target)

    def abandon(self) -> None:
        """Leave no file behind."""
        self._thread.shutdown()
        if self._writer is not None:
            with contextlib.suppress(OSError):
                self._writer.close()
        self.scratch.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, failed: type[BaseException] | None, *_: object) -> None:
        self.close() if failed is None else self.abandon()

    def _flush(self) -> None:
        """Hand what is pending to the thread; at most one row group is under way."""
        self._wait()
        if self._pending and self._writer is not None:
            table, self._pending = pa.concat_tables(self._pending), []
            self._busy = self._thread.submit(self._writer.write_table, table, ROW_GROUP)

    def _wait(self) -> None:
        if self._busy is not None:
            self._busy.result()
            self._busy = None


def read_tables(
    path: Path, columns: Sequence[str] | None = None, batch_rows: int = BATCH_ROWS
) -> Iterator[pa.Table]:
    """The rows of a Parquet file in its order, a few at a time; a file that cannot be read is refused.

    One row group after the other: a reader of several keeps the bytes of all of them until it ends.
    """
    try:
        with pq.ParquetFile(path) as parquet:
            for group in range(parquet.num_row_groups):
                for batch in parquet.iter_batches(batch_rows, row_groups=[group], columns=columns):
                    yield pa.Table.from_batches([batch])
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{path} cannot be read as Parquet: {str(error).splitlines()[0]}") from error


def read_columns(path: Path) -> pl.Schema:
    """The columns of a Parquet file, as polars calls their types."""
    try:
        return to_frame(pq.read_schema(path).empty_table()).schema
    except (pa.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{path} cannot be read as Parquet: {reason}", "Make its artifact again.") from error


def to_frame(table: pa.Table) -> pl.DataFrame:
    """An Arrow table as a polars frame."""
    frame = pl.from_arrow(table)
    assert isinstance(frame, pl.DataFrame)
    return frame


def to_table(frame: pl.DataFrame) -> pa.Table:
    """A polars frame as an Arrow table whose texts hold no more than the frame's own rows."""
    return frame.to_arrow(compat_level=pl.CompatLevel.oldest())


def write_rows(rows: pl.DataFrame | pl.LazyFrame, target: Path) -> None:
    """Write rows that a stage has made, in their order, into a file that appears only when it is whole."""
    with RowWriter(target) as writer:
        for batch in rows.lazy().collect_batches(chunk_size=ROW_GROUP, maintain_order=True):
            writer.write(to_table(batch))


def uncompressed_bytes(path: Path) -> int:
    """Size of a Parquet file's columns before compression, from its footer."""
    footer = pq.read_metadata(path)
    return sum(footer.row_group(i).total_byte_size for i in range(footer.num_row_groups))


def fill_ranks(ranks: pl.Series) -> np.ndarray:
    """Ranks as `write_in_order` takes them; a row without one stays away."""
    return ranks.cast(pl.Int64).fill_null(LEFT_OUT).to_numpy()


def write_in_order(
    tables: Iterable[pa.Table], ranks: np.ndarray, *, rows_bytes: int, work: Path, target: Path
) -> None:
    """Write the rows by rank; `ranks` has one entry per incoming row, LEFT_OUT for rows that stay away.

    `rows_bytes` estimates the chosen rows' size. One pass puts them into buckets of neighbouring ranks (on
    disk, where there are several); then each bucket is sorted in memory and written.
    """
    folder = work / "ordered"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    count = max(1, -(-rows_bytes // BUCKET_BYTES))
    buckets = _Buckets(folder, count=count, rows=int((ranks != LEFT_OUT).sum()))
    start = 0
    for table in tables:
        rank = ranks[start : start + len(table)]
        start += len(table)
        chosen = np.flatnonzero(rank != LEFT_OUT)
        if len(chosen):
            order = chosen[np.argsort(rank[chosen])]
            buckets.put(table.take(pa.array(order)), rank[order])
    with RowWriter(target) as writer:
        for bucket in buckets.sorted():
            writer.write(bucket)
    shutil.rmtree(folder)


class _Buckets:
    """Rows put apart by rank: one bucket in memory, or several as Arrow files."""

    def __init__(self, folder: Path, *, count: int, rows: int) -> None:
        self.rows_each = max(1, -(-rows // count))
        self.count = max(1, -(-rows // self.rows_each))
        self.files = [folder / f"bucket-{number:06d}.arrow" for number in range(self.count)]
        self.writers: dict[int, Any] = {}
        self.tables: list[pa.Table] = []
        self.ranks: list[list[np.ndarray]] = [[] for _ in range(self.count)]

    def put(self, rows: pa.Table, rank: np.ndarray) -> None:
        """Take in rows sorted by rank."""
        cuts = np.searchsorted(rank, self.rows_each * np.arange(self.count + 1))
        for number in np.flatnonzero(np.diff(cuts)).tolist():
            begin, end = int(cuts[number]), int(cuts[number + 1])
            self.ranks[number].append(rank[begin:end])
            part = rows.slice(begin, end - begin)
            if self.count == 1:
                self.tables.append(part)
                continue
            if number not in self.writers:
                self.writers[number] = pa.ipc.new_stream(str(self.files[number]), rows.schema)
            self.writers[number].write_table(part)

    def sorted(self) -> Iterator[pa.Table]:
        """The rows in the order of ranks, a row group at a time."""
        for writer in self.writers.values():
            writer.close()
        for number in range(self.count):
            if not self.ranks[number]:
                continue
            table = self._read(number).combine_chunks()
            order = np.argsort(np.concatenate(self.ranks[number]))
            for start in range(0, len(order), ROW_GROUP):
                yield table.take(pa.array(order[start : start + ROW_GROUP]))
            del table

    def _read(self, number: int) -> pa.Table:
        if self.count == 1:
            tables, self.tables = self.tables, []
            return pa.concat_tables(tables)
        with pa.memory_map(str(self.files[number])) as source:
            return pa.ipc.open_stream(source).read_all()
