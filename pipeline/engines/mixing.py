"""The mix stage's work: choose from each part, make ids unique, order, write (polars)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
from pipeline.engines.rows import (
    first_by_key,
    scan_ids,
    seeded_keys,
    uncompressed_bytes,
    write_in_order,
    write_rows,
)
from pipeline.job import Job
from pipeline.stages.mix import MixConfig


def mix(job: Job, config: MixConfig) -> dict[str, Any]:
    """Write job.folder/rows.parquet; the facts say what each part had and gave."""
    paths = [folder / "rows.parquet" for folder in job.inputs.get("rows", ())]
    ids = [scan_ids(path) for path in paths]
    available = tuple(len(part) for part in ids)
    quotas = config.quotas_of(available)
    chosen = _choose(ids, quotas, config.seed)
    rows = pl.concat(
        [_part(path, chosen.filter(pl.col("part") == i), i) for i, path in enumerate(paths)],
        how="diagonal_relaxed",
    )
    target = job.folder / "rows.parquet"
    if config.shuffle:
        keys = seeded_keys(chosen["id"], config.seed)
        order = chosen.select("id").with_columns(keys).sort("key", "id").select("id").with_row_index("rank")
        size = sum(
            uncompressed_bytes(p) * q // max(1, a) for p, q, a in zip(paths, quotas, available, strict=True)
        )
        write_in_order(rows, order, rows_bytes=size, work=job.work, target=target)
    else:
        write_rows(rows, target)
    return {"rows_in": list(available), "rows_out": sum(quotas), "rows_of_parts": list(quotas)}


def _choose(ids: list[pl.Series], quotas: tuple[int, ...], seed: int) -> pl.DataFrame:
    """Columns old (id in its part), id (unique in the mixture), part."""
    parts = [
        first_by_key(part, seed, quota).select(
            pl.col("id").alias("old"), pl.lit(i, dtype=pl.Int64).alias("part")
        )
        for i, (part, quota) in enumerate(zip(ids, quotas, strict=True))
    ]
    again = pl.col("old").cum_count().over("old") > 1
    marked = pl.col("old") + "@" + pl.col("part").cast(pl.String)
    return pl.concat(parts).with_columns(pl.when(again).then(marked).otherwise(pl.col("old")).alias("id"))


def _part(path: Path, chosen: pl.DataFrame, number: int) -> pl.LazyFrame:
    """The chosen rows of one part with their ids in the mixture, in the part's own order."""
    names = chosen.lazy().select(pl.col("old").alias("id"), pl.col("id").alias("new"))
    rows = pl.scan_parquet(path).join(names, on="id", how="inner", maintain_order="left")
    return rows.with_columns(id=pl.col("new"), part=pl.lit(number, dtype=pl.Int64)).drop("new")
