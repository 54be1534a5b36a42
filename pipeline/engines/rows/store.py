"""Our rows: unique ids, batches collected into one Parquet file, a seeded order.

Guarantees: ids are unique text; the file appears only when it is whole; memory is bounded by a few
batches and the ids. Refuses: a repeated id, naming both rows; rows of which some have ids and some have none; a
column whose types do not go together.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
import pyarrow as pa

from pipeline.datasets import seeded_key
from pipeline.engines.rows.parquet import RowWriter, read_columns, read_tables, to_frame, to_table
from pipeline.errors import InputError
from pipeline.store.atomic import move_file

if TYPE_CHECKING:
    from polars._typing import PolarsDataType

ROW = "\0row"
"""Working column: the row's number in its source, from 1; named as no source names its own."""


class RowStore:
    """Collects mapped batches into rows.parquet, written once: a second part is begun only where types change."""

    def __init__(self, work: Path, source: str) -> None:
        self.folder = work / "parts"
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        self.source = source
        self.parts: list[Path] = []
        self.first_rows: list[int] = []
        self.rows = 0
        self._is_given: bool | None = None
        self._seen: dict[str, int] = {}
        self._writer: RowWriter | None = None

    def append(self, mapped: pl.DataFrame) -> None:
        """Give the batch unique ids and write it after the others."""
        if mapped.is_empty():
            return
        first_row, given = mapped[ROW][0], bool(mapped["id"].is_not_null().all())
        if self._is_given not in (None, given):
            raise InputError(
                f"{self.source}: the rows from {first_row} on have {'' if given else 'no '}ids, unlike those before",
                "Give every row an id, or none: {fields: {id: null}}.",
            )
        self._is_given = given
        ids = self._check_ids(mapped) if given else self._make_ids(mapped["problem"])
        table = to_table(mapped.with_columns(pl.Series("id", ids, dtype=pl.String)).drop(ROW))
        if self._writer is not None and self._writer.schema != table.schema:
            table = _fitted(table, self._writer.schema) or self._end_part(table)
        if self._writer is None:
            self.parts.append(self.folder / f"{len(self.parts):06d}.parquet")
            self.first_rows.append(first_row)
            self._writer = RowWriter(self.parts[-1])
        self._writer.write(table)
        self.rows += len(ids)

    def _end_part(self, table: pa.Table) -> pa.Table:
        """Close the part that is being written; the table begins the next one."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None
        return table

    def finish(self, target: Path) -> int:
        """Put `target` in place (atomically), drop the parts, and return the number of rows."""
        if self._writer is not None:
            self._writer.close()
        if len(self.parts) == 1:
            move_file(self.parts[0], target)
        else:
            self._join(target)
        shutil.rmtree(self.folder)
        return self.rows

    def _join(self, target: Path) -> None:
        """One file of parts whose columns differ: a column that one lacks is null, types are widened."""
        schema = common_schema(
            {
                f"{self.source}, row {first}": read_columns(part)
                for first, part in zip(self.first_rows, self.parts, strict=True)
            },
            "Write every row of a column with the same type, or leave the column out with fields.extra.",
        )
        with RowWriter(target) as writer:
            for part in self.parts:
                for table in read_tables(part):
                    writer.write(to_table(widen(to_frame(table), schema)))

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


def _fitted(table: pa.Table, schema: pa.Schema) -> pa.Table | None:
    """The table in the columns of a part, where it only lacks some or has them without a value."""
    if any(field.name not in schema.names for field in table.schema):
        return None
    columns = []
    for wanted in schema:
        column = table[wanted.name] if wanted.name in table.schema.names else pa.nulls(len(table))
        if column.type not in (wanted.type, pa.null()):
            return None
        columns.append(column if column.type == wanted.type else pa.nulls(len(table), wanted.type))
    return pa.table(columns, schema=schema)


def common_schema(schemas: Mapping[str, pl.Schema], remedy: str) -> pl.Schema:
    """All columns of all schemas, each with a type that holds every one of its types.

    The schemas go by the name of what has them: where a column has no such type, two that differ are named.
    """
    columns = pl.Schema()
    for name in dict.fromkeys(name for schema in schemas.values() for name in schema):
        found = [(place, schema[name]) for place, schema in schemas.items() if name in schema]
        first = found[0][0]
        common: PolarsDataType = found[0][1]
        for place, dtype in found[1:]:
            wider = _wider(common, dtype)
            if wider is None:
                raise InputError(f"column {name!r} holds {common} in {first} and {dtype} in {place}", remedy)
            if wider != common:
                first, common = place, wider
        columns[name] = common
    return columns


def _wider(one: PolarsDataType, other: PolarsDataType) -> PolarsDataType | None:
    """A type that holds the values of both; None where there is none (polars writes lists and records as text)."""
    if not _are_of_a_kind(one, other):
        return None
    try:
        frames = [pl.DataFrame(schema={"": dtype}) for dtype in (one, other)]
        return pl.concat(frames, how="diagonal_relaxed").schema[""]
    except pl.exceptions.PolarsError:
        return None


def _are_of_a_kind(one: PolarsDataType, other: PolarsDataType) -> bool:
    """Whether lists stand where lists stand, and records where records."""
    if pl.Null in (one, other):
        return True
    if isinstance(one, pl.Struct) and isinstance(other, pl.Struct):
        fields = {field.name: field.dtype for field in other.fields}
        return all(_are_of_a_kind(field.dtype, fields.get(field.name, pl.Null())) for field in one.fields)
    if isinstance(one, (pl.List, pl.Array)) and isinstance(other, (pl.List, pl.Array)):
        return _are_of_a_kind(one.inner, other.inner)
    return one == other or not (one.is_nested() or other.is_nested())


def widen(frame: pl.DataFrame, schema: pl.Schema) -> pl.DataFrame:
    """The rows in these columns and types; a column that they lack is null."""
    if frame.schema == schema:
        return frame
    return pl.concat([schema.to_frame(), frame], how="diagonal_relaxed")


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


def count_rows(path: Path) -> int:
    """Rows of a Parquet file, from its footer; a file that cannot be read is refused."""
    try:
        return int(pl.scan_parquet(path).select(pl.len()).collect().item())
    except (OSError, pl.exceptions.PolarsError) as error:
        raise InputError(f"{path} cannot be read as Parquet: {error}", "Make its artifact again.") from error
