"""Our rows on disk: unique ids, shards joined into one Parquet file, a seeded order, a cut (polars).

Guarantees: ids are unique text; files appear only when they are whole; memory is bounded by one batch
and the ids, for reordering by one bucket of rows. Refuses: a repeated id, naming both rows.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl
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
    prefix = f"{seed}:"
    keys = [
        int.from_bytes(hashlib.blake2b((prefix + i).encode(), digest_size=8).digest(), "big") for i in ids
    ]
    return pl.Series("key", keys, dtype=pl.UInt64)


def first_by_key(ids: pl.Series, seed: int, rows: int) -> pl.DataFrame:
    """The `rows` ids with the smallest keys and their rank: of m > n rows, the first n are the same."""
    frame = pl.DataFrame({"id": ids, "key": seeded_keys(ids, seed)})
    return frame.sort("key", "id").head(rows).select("id").with_row_index("rank")


def write_in_order(
    rows: pl.LazyFrame, order: pl.DataFrame, *, rows_bytes: int, work: Path, target: Path
) -> None:
    """Write the rows named in `order` (id, rank) by rank, holding about BUCKET_BYTES in memory.

    `rows_bytes` is the uncompressed size of all rows; each bucket of ranks reads the source once.
    """
    folder = work / "ordered"
    folder.mkdir(parents=True, exist_ok=True)
    buckets = max(1, -(-rows_bytes // BUCKET_BYTES))
    per_bucket = max(1, -(-len(order) // buckets))
    shards = []
    for start in range(0, len(order), per_bucket):
        part = order.slice(start, per_bucket)
        chosen = rows.join(part.lazy(), on="id", how="inner").collect(engine="streaming")
        shards.append(folder / f"{start:010d}.parquet")
        chosen.sort("rank").drop("rank").write_parquet(shards[-1], compression="lz4")
    write_rows(pl.concat([pl.scan_parquet(shard) for shard in shards]), target)
    shutil.rmtree(folder)


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
