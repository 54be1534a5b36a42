"""The mix stage's work: choose from each part, make ids unique, order, write (polars)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from pipeline.engines.rows import (
    first_by_key,
    read_batches,
    scan_ids,
    seeded_keys,
    uncompressed_bytes,
    write_in_order,
)
from pipeline.job import Job
from pipeline.stages.mix import MixConfig


def mix(job: Job, config: MixConfig) -> dict[str, Any]:
    """Write job.folder/rows.parquet; the facts say what each part had and gave."""
    paths = [folder / "rows.parquet" for folder in job.inputs.get("rows", ())]
    ids = [scan_ids(path) for path in paths]
    available = tuple(len(part) for part in ids)
    quotas = config.quotas_of(available)
    names = _choose(ids, quotas, config.seed)
    sizes = (
        uncompressed_bytes(path) * quota // rows
        for path, quota, rows in zip(paths, quotas, available, strict=True)
    )
    write_in_order(
        _renamed_batches(paths, names),
        _rank(names, config),
        rows_bytes=sum(sizes),
        work=job.work,
        target=job.folder / "rows.parquet",
    )
    return {"rows_in": list(available), "rows_out": sum(quotas), "rows_of_parts": list(quotas)}


def _choose(ids: list[pl.Series], quotas: tuple[int, ...], seed: int) -> pl.DataFrame:
    """One line per row of every part, in order: part, and the id in the mixture (null: not chosen)."""
    parts = []
    for number, (part, quota) in enumerate(zip(ids, quotas, strict=True)):
        chosen = first_by_key(part, seed, quota).select("id", new="id")
        frame = part.to_frame("id").join(chosen, on="id", how="left", maintain_order="left")
        parts.append(frame.select("new", part=pl.lit(number, dtype=pl.Int64)))
    again = pl.col("new").cum_count().over("new") > 1
    marked = pl.col("new") + "@" + pl.col("part").cast(pl.String)
    return pl.concat(parts).select("part", id=pl.when(again).then(marked).otherwise(pl.col("new")))


def _rank(names: pl.DataFrame, config: MixConfig) -> pl.Series:
    """The place of every row in the mixture (null: not chosen)."""
    chosen = names.select("id").drop_nulls()
    if config.shuffle:
        chosen = chosen.with_columns(seeded_keys(chosen["id"], config.seed)).sort("key", "id").select("id")
    return names.join(chosen.with_row_index("rank"), on="id", how="left", maintain_order="left")["rank"]


def _renamed_batches(paths: Sequence[Path], names: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """All rows of all parts with their ids in the mixture and the number of their part."""
    start = 0
    for path in paths:
        for batch in read_batches(path):
            yield batch.with_columns(names.slice(start, len(batch)))
            start += len(batch)
