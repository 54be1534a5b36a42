"""Measure a completions artifact with one analysis: completions.parquet in, measures.parquet out.

One row per response, in the order of the input: problem_id, sample_index and the analysis's columns.
Measuring is quick and pure, so a killed job starts over.
"""

from __future__ import annotations

import time
from typing import Any

import polars as pl

from pipeline import analyses
from pipeline.engines.scoring import count_rows, open_completions, write_parquet
from pipeline.job import Job

BATCH_ROWS = 1024
"""Responses held at once."""


def measure(job: Job) -> dict[str, Any]:
    """Measure input `completions`; returns the number of responses, each column's mean, and seconds."""
    started = time.monotonic()
    source = job.one("completions") / "completions.parquet"
    rows = open_completions(source, ("problem_id", "sample_index", "response"))
    total = count_rows(rows, source)
    name = job.config.analysis
    params = analyses.validate(name, job.config.params)
    batches = []
    for start in range(0, total, BATCH_ROWS):
        batch = rows.slice(start, BATCH_ROWS).collect()
        columns = analyses.measure(name, batch["response"].to_list(), params)
        batches.append(
            batch.select("problem_id", "sample_index").with_columns(
                pl.Series(c, v) for c, v in columns.items()
            )
        )
        job.progress(min(start + BATCH_ROWS, total), total, "responses")
    table = pl.concat(batches)
    write_parquet(table, job.folder / "measures.parquet")
    means = {f"mean_{column}": float(table[column].mean()) for column in analyses.columns(name)}
    return {"n": total, **means, "seconds": round(time.monotonic() - started, 3)}
