"""The mix stage's work: rows of several data sets as one.

Reads the rows of every input `rows`; leaves rows.parquet.
A part's rows are chosen by their keys; ids are made unique; the order is that of the parts, or a seeded one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa

from pipeline.engines.rows.parquet import (
    fill_ranks,
    read_columns,
    read_tables,
    to_frame,
    to_table,
    uncompressed_bytes,
    write_in_order,
)
from pipeline.engines.rows.store import common_schema, first_by_key, scan_ids, seeded_keys, widen
from pipeline.stages.mix import MixConfig
from pipeline.store.job import Job


def run(job: Job) -> dict[str, Any]:
    """Write job.folder/rows.parquet; the facts say what each part had and gave."""
    config: MixConfig = job.config
    paths = [folder / "rows.parquet" for folder in job.inputs.get("rows", ())]
    ids = [scan_ids(path) for path in paths]
    available = tuple(len(part) for part in ids)
    parts = [f"part {number} of the mixture ({path.parent.name})" for number, path in enumerate(paths)]
    quotas = config.quotas_of(available, parts)
    schema = common_schema(
        dict(zip(parts, map(read_columns, paths), strict=True)),
        "Give the parts' columns the same type, or leave the column out with fields.extra.",
    )
    names = _choose(ids, quotas, config.seed)
    sizes = (
        uncompressed_bytes(path) * quota // rows
        for path, quota, rows in zip(paths, quotas, available, strict=True)
    )
    write_in_order(
        _renamed_tables(paths, names, schema),
        fill_ranks(_rank(names, config)),
        rows_bytes=sum(sizes),
        work=job.work,
        target=job.folder / "rows.parquet",
    )
    return {"rows_in": list(available), "rows_out": sum(quotas), "rows_of_parts": list(quotas)}


def _choose(ids: list[pl.Series], quotas: tuple[int, ...], seed: int) -> pl.DataFrame:
    """One line per row of every part, in order: part, and the id in the mixture (null: not chosen)."""
    parts = []
    for number, (part, quota) in enumerate(zip(ids, quotas, strict=True)):
        own = f"part {number}:" + part  # parts of one source would else give the same rows
        chosen = first_by_key(own, seed, quota).select(own="id", is_chosen=True)
        frame = pl.DataFrame({"id": part, "own": own}).join(
            chosen, on="own", how="left", maintain_order="left"
        )
        new = pl.when("is_chosen").then("id")
        parts.append(frame.select(new=new, part=pl.lit(number, dtype=pl.Int64)))
    names = pl.concat(parts)
    return names.with_columns(id=_make_unique(names["new"], names["part"])).select("part", "id")


def _make_unique(ids: pl.Series, parts: pl.Series) -> pl.Series:
    """The ids, with the number of the part after those that came before: once, or until no other row has it."""
    again = ids.is_not_null() & ~ids.is_first_distinct()
    taken = set(ids.drop_nulls())
    made = []
    for name, part in zip(ids.filter(again), parts.filter(again), strict=True):
        while name in taken:  # a part that is a mixture itself may have an id@part of its own
            name = f"{name}@{part}"
        taken.add(name)
        made.append(name)
    return ids.scatter(again.arg_true(), made)


def _rank(names: pl.DataFrame, config: MixConfig) -> pl.Series:
    """The place of every row in the mixture (null: not chosen)."""
    chosen = names.select("id").drop_nulls()
    if config.shuffle:  # an order of its own: in that of the choice, parts with small shares would come first
        keys = seeded_keys("shuffle:" + chosen["id"], config.seed)
        chosen = chosen.with_columns(keys).sort("key", "id").select("id")
    return names.join(chosen.with_row_index("rank"), on="id", how="left", maintain_order="left")["rank"]


def _renamed_tables(paths: Sequence[Path], names: pl.DataFrame, schema: pl.Schema) -> Iterator[pa.Table]:
    """All rows of all parts in common columns, with their ids in the mixture and the number of their part."""
    start = 0
    for path in paths:
        is_own = read_columns(path) == schema
        for table in read_tables(path):
            if not is_own:
                table = to_table(widen(to_frame(table), schema))
            renamed = names.slice(start, len(table)).fill_null("")
            start += len(table)
            for name in ("id", "part"):
                column = to_table(renamed.select(name))[name]
                place = table.schema.get_field_index(name)
                table = (
                    table.append_column(name, column) if place < 0 else table.set_column(place, name, column)
                )
            yield table
