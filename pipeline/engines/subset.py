"""The subset stage's work: the first rows of a seeded order, so that smaller subsets are prefixes of larger ones."""

from __future__ import annotations

from typing import Any

from pipeline.engines.mix import column_of_ranks
from pipeline.engines.rows.parquet import read_tables, uncompressed_bytes, write_in_order
from pipeline.engines.rows.store import first_by_key, scan_ids
from pipeline.errors import InputError
from pipeline.stages.subset import SubsetConfig
from pipeline.store.job import Job


def run(job: Job) -> dict[str, Any]:
    """Write job.folder/rows.parquet with the first rows in the seeded order."""
    config: SubsetConfig = job.config
    path = job.one("rows") / "rows.parquet"
    ids = scan_ids(path)
    if config.rows > len(ids):
        raise InputError(
            f"a subset of {config.rows} rows was asked of a data set that has {len(ids)}",
            f"Ask for at most {len(ids)}, or loosen the filters before it.",
        )
    order = first_by_key(ids, config.seed, config.rows)
    ranks = ids.to_frame("id").join(order, on="id", how="left", maintain_order="left")["rank"]
    write_in_order(
        read_tables(path),
        column_of_ranks(ranks),
        rows_bytes=uncompressed_bytes(path) * config.rows // len(ids),
        work=job.work,
        target=job.folder / "rows.parquet",
    )
    return {"rows_in": len(ids), "rows_out": config.rows}
