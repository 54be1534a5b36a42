"""Our rows on disk: unique ids, shards joined into one Parquet file, a seeded order, a cut (polars).

Guarantees: ids are unique text; files appear only when they are whole; memory is bounded by one batch
and the ids, for reordering by one bucket of rows. Refuses: a repeated id, naming both rows.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from pipeline.datasets import seeded_key
from pipeline.errors import InputError

EXAMPLES = 5
"""Ids shown per reason for which rows were dropped."""

ROW = "_row"
"""Working column: the row's number in its source, from 1."""

ROW_GROUP = 1024
"""Rows of one Parquet row group: what a reader or writer of long traces holds at once."""

SHARD_BYTES = 64 * 2**20
"""Bytes of rows in memory after which a shard is written."""

BUCKET_BYTES = 512 * 2**20
"""Uncompressed bytes of rows that are put in order in memory at once."""


@dataclass
class Dropped:
    """Rows that did not come through: how many for each reason, and the first few of them."""

    counts: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[str]] = field(default_factory=dict)

    def add(self, reason: str, ids: Sequence[str]) -> None:
        """Count rows that were dropped for one reason."""
        if len(ids):
            self.counts[reason] += len(ids)
            shown = self.examples.setdefault(reason, [])
            shown.extend(ids[: EXAMPLES - len(shown)])

    def facts(self) -> dict[str, object]:
        """The counts and examples as plain values for the record."""
        return {"dropped": dict(self.counts), "dropped_examples": dict(self.examples)}


class RowStore:
    """Collects mapped batches as shards in the working folder and joins them into rows.parquet."""

    def __init__(self, work: Path, source: str) -> None:
        self.folder = work / "shards"
        self.folder.mkdir(parents=True, exist_ok=True)
        self.source = source
        self.shards: list[Path] = []
        self.rows = 0
        self._seen: dict[str, int] = {}
        self._pending: list[pl.DataFrame] = []
        self._pending_bytes = 0

    def append(self, mapped: pl.DataFrame) -> None:
        """Give the batch unique ids and put it with the others; a shard is written when there is enough."""
        if mapped.is_empty():
            return
        given = mapped["id"].is_not_null().all()
        ids = self._check_ids(mapped) if given else self._make_ids(mapped["problem"])
        self._pending.append(mapped.with_columns(pl.Series("id", ids, dtype=pl.String)).drop(ROW))
        self._pending_bytes += mapped.estimated_size()
        self.rows += len(ids)
        if self._pending_bytes >= SHARD_BYTES:
            self._write_shard()

    def _write_shard(self) -> None:
        shard = self.folder / f"{len(self.shards):06d}.parquet"
        with self._naming_changed_types():
            pl.concat(self._pending, how="diagonal_relaxed").write_parquet(shard, compression="lz4")
        self.shards.append(shard)
        self._pending, self._pending_bytes = [], 0

    def finish(self, target: Path) -> int:
        """Join the shards into `target` (atomically), drop them, and return the number of rows."""
        if self._pending:
            self._write_shard()
        with self._naming_changed_types():
            write_rows(pl.concat([pl.scan_parquet(s) for s in self.shards], how="diagonal_relaxed"), target)
        shutil.rmtree(self.folder)
        return self.rows

    @contextmanager
    def _naming_changed_types(self) -> Iterator[None]:
        try:
            yield
        except (pl.exceptions.SchemaError, pl.exceptions.ComputeError) as error:
            raise InputError(
                f"{self.source}: a column changes its type along the file: {str(error).splitlines()[0]}",
                "Write every row of a column with the same type, or leave the column out with fields.extra.",
            ) from error

    def _check_ids(self, mapped: pl.DataFrame) -> list[str]:
        ids = mapped["id"].to_list()
        for name, row in zip(ids, mapped[ROW].to_list(), strict=True):
            if name in self._seen:
                raise InputError(
                    f"{self.source}: rows {self._seen[name]} and {row} have the same id {name!r}",
                    "Ids must be unique. Name another field as fields.id, or none: {fields: {id: null}}.",
                )
            self._seen[name] = row
        return ids

    def _make_ids(self, problems: pl.Series) -> list[str]:
        made = []
        for problem in problems.to_list():
            name = hashlib.sha256(problem.encode()).hexdigest()[:16]
            count = self._seen[name] = self._seen.get(name, 0) + 1
            made.append(name if count == 1 else f"{name}-{count}")
        return made


def write_rows(rows: pl.LazyFrame, target: Path) -> None:
    """Stream rows into one Parquet file that appears only when it is whole."""
    scratch = target.with_name(f".{target.name}-{os.getpid()}")
    rows.sink_parquet(scratch, compression="zstd", row_group_size=ROW_GROUP, maintain_order=True)
    os.replace(scratch, target)


def scan_ids(path: Path) -> pl.Series:
    """The ids of a rows.parquet, in its order."""
    return pl.scan_parquet(path).select("id").collect()["id"]


def seeded_keys(ids: pl.Series, seed: int) -> pl.Series:
    """A 64-bit key per id that depends on the seed and the id alone (BLAKE2b), never on the file's order."""
    return pl.Series("key", [seeded_key(name, seed) for name in ids], dtype=pl.UInt64)


def first_by_key(ids: pl.Series, seed: int, rows: int) -> pl.DataFrame:
    """The `rows` ids with the smallest keys and their rank: of m > n rows, the first n are the same."""
    frame = pl.DataFrame({"id": ids, "key": seeded_keys(ids, seed)})
    return frame.sort("key", "id").head(rows).select("id").with_row_index("rank")


def read_batches(path: Path) -> Iterator[pl.DataFrame]:
    """The rows of a rows.parquet in its order, a row group at most in memory."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as parquet:
        for batch in parquet.iter_batches(batch_size=ROW_GROUP):
            frame = pl.from_arrow(pa.Table.from_batches([batch]))
            assert isinstance(frame, pl.DataFrame)
            yield frame


def write_in_order(
    batches: Iterable[pl.DataFrame], ranks: pl.Series, *, rows_bytes: int, work: Path, target: Path
) -> None:
    """Write the rows by rank; `ranks` has one entry per incoming row, null for rows left out.

    `rows_bytes` estimates the chosen rows' size: they are put into buckets of neighbouring ranks of about
    BUCKET_BYTES on disk in one pass, then each bucket is sorted in memory.
    """
    folder = work / "ordered"
    folder.mkdir(parents=True, exist_ok=True)
    buckets = _Buckets(folder, count=max(1, -(-rows_bytes // BUCKET_BYTES)), rows=ranks.count())
    start = 0
    for batch in batches:
        rank = ranks.slice(start, len(batch)).alias("_rank")
        start += len(batch)
        buckets.put(batch.with_columns(rank).filter(pl.col("_rank").is_not_null()))
    shards = [pl.scan_parquet(shard) for shard in buckets.sort()]
    write_rows(pl.concat(shards, how="diagonal_relaxed"), target)
    shutil.rmtree(folder)


class _Buckets:
    """Rows sorted coarsely by rank on disk."""

    def __init__(self, folder: Path, *, count: int, rows: int) -> None:
        self.folder = folder
        self.rows_each = max(1, -(-rows // count))
        self.limit = max(2**20, BUCKET_BYTES // 2 // count)
        self.pending: dict[int, list[pl.DataFrame]] = defaultdict(list)
        self.bytes: Counter[int] = Counter()
        self.files: dict[int, list[Path]] = defaultdict(list)

    def put(self, rows: pl.DataFrame) -> None:
        """Put each row into the bucket of its rank; full buckets go to disk."""
        bucket = rows["_rank"] // self.rows_each
        for number in sorted(bucket.unique().to_list()):
            part = rows.filter(bucket == number)
            self.pending[number].append(part)
            self.bytes[number] += part.estimated_size()
            if self.bytes[number] >= self.limit:
                self._flush(number)

    def sort(self) -> Iterator[Path]:
        """Sort bucket after bucket into shards, in the order of ranks."""
        for number in sorted({*self.pending, *self.files}):
            frames = [*(pl.read_parquet(file) for file in self.files[number]), *self.pending.pop(number, [])]
            shard = self.folder / f"sorted-{number:06d}.parquet"
            whole = pl.concat(frames, how="diagonal_relaxed").sort("_rank").drop("_rank")
            whole.write_parquet(shard, compression="lz4", row_group_size=ROW_GROUP)
            yield shard

    def _flush(self, number: int) -> None:
        file = self.folder / f"bucket-{number:06d}-{len(self.files[number]):06d}.parquet"
        pl.concat(self.pending.pop(number), how="diagonal_relaxed").write_parquet(file, compression="lz4")
        self.bytes[number] = 0
        self.files[number].append(file)


def uncompressed_bytes(path: Path) -> int:
    """Size of a Parquet file's columns before compression, from its footer."""
    import pyarrow.parquet as pq

    footer = pq.read_metadata(path)
    return sum(footer.row_group(i).total_byte_size for i in range(footer.num_row_groups))


def count_rows(path: Path) -> int:
    """Rows of a Parquet file, from its footer; a file that cannot be read is refused."""
    try:
        return int(pl.scan_parquet(path).select(pl.len()).collect().item())
    except (OSError, pl.exceptions.PolarsError) as error:
        raise InputError(f"{path} cannot be read as Parquet: {error}", "Make its artifact again.") from error
