"""Rows that are chosen among responses or dialogues: their key, the order of a seeded choice, how they are written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl

from pipeline.datasets import seeded_key
from pipeline.engines.rows.dropped import count_dropped
from pipeline.engines.rows.parquet import write_rows
from pipeline.errors import InputError, StageError
from pipeline.stages.synthesise import SynthesiseConfig
from pipeline.store.job import Job

KEY = ("problem_id", "sample_index")
SCHEMA = {
    "id": pl.String,
    "problem": pl.String,
    "answer": pl.String,
    "solution": pl.String,
    "class": pl.String,
    "origin": pl.String,
    "round": pl.Int64,
    "problem_id": pl.String,
    "sample_index": pl.Int64,
    "n_tokens": pl.Int64,
}


def write_chosen(
    job: Job, config: SynthesiseConfig, rows: pl.LazyFrame, judged: pl.DataFrame, origin: str
) -> dict[str, Any]:
    """Write the rows (KEY and the columns of SCHEMA that they have) that `judged` keeps; returns the facts.

    `judged` has KEY and `reason` (null: it stays) for every row, in the order of the rows.
    """
    dropped = count_dropped(judged.with_columns(_id(origin)))
    kept = judged.filter(pl.col("reason").is_null()).select(KEY)
    facts = {
        "rows_in": judged.height,
        "rows_out": kept.height,
        **dropped.facts(),
        "problems_in": judged["problem_id"].n_unique(),
        "problems_out": kept["problem_id"].n_unique(),
    }
    if kept.is_empty():
        raise StageError(
            f"no row is left of {judged.height} ({dropped.reasons()})", "Sample more, or keep more of it."
        )
    present = rows.collect_schema().names()
    absent = {name: dtype for name, dtype in SCHEMA.items() if name not in present}
    chosen = (
        rows.join(kept.lazy(), on=KEY, how="semi", maintain_order="left")
        .with_columns(*(pl.lit(None, dtype=dtype).alias(name) for name, dtype in absent.items()))
        .with_columns(_id(origin), origin=pl.lit(origin))
        .select(pl.col(name).cast(dtype) for name, dtype in SCHEMA.items())
    )
    if config.marker is not None:
        column = "problem" if config.marker.place == "prompt" else "solution"
        chosen = chosen.with_columns((pl.lit(config.marker.text) + pl.col(column)).alias(column))
    write_rows(chosen, job.folder / "rows.parquet")
    job.progress(judged.height, judged.height, "rows")
    return facts


def _id(origin: str) -> pl.Expr:
    return pl.format("{}#{}-{}", "problem_id", pl.lit(origin), "sample_index").alias("id")


def choice_keys(rows: pl.DataFrame, seed: int) -> pl.Series:
    """A key per row (KEY) that seed, problem and sample number decide: the order of a seeded choice."""
    names = (f"{problem}#{sample}" for problem, sample in rows.select(KEY).iter_rows())
    return pl.Series("key", [seeded_key(name, seed) for name in names], dtype=pl.UInt64)


def refuse_repeated(rows: pl.DataFrame, source: Path) -> None:
    """Refuse a problem's sample number that occurs twice."""
    repeated = rows.filter(pl.struct(KEY).is_duplicated())
    if repeated.height:
        raise InputError(
            f"{source}: problem {repeated['problem_id'][0]!r} has sample {repeated['sample_index'][0]} twice",
            "Sample again.",
        )
