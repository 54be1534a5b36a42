"""The analyse stage's work: measure responses with one analysis of the catalogue.

Reads completions.parquet of input `completions` (verdicts.parquet of `verdicts`, the tokenizer of `policy` where the
analysis asks for them); leaves measures.parquet.
One row per response, in the order of the input: problem_id, sample_index and the analysis's columns.
Measuring is quick and pure, so a killed job starts over. An analysis that needs a judge gets the verdicts of input
`verdicts`, one that counts tokens the tokenizer of input `policy`; verdicts that lack a response are refused.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl

from pipeline import analyses
from pipeline.engines.rows.frames import count_responses, mean_of, scan_columns, write_frame
from pipeline.errors import InputError
from pipeline.store.job import Job

BATCH_ROWS = 1024
"""Responses held at once."""


def run(job: Job) -> dict[str, Any]:
    """Measure input `completions`; returns the number of responses, each column's mean, and seconds."""
    started = time.monotonic()
    source = job.one("completions") / "completions.parquet"
    rows = scan_columns(source, ("problem_id", "sample_index", "response"))
    total = count_responses(rows, source)
    name = job.config.analysis
    params = analyses.validate(name, job.config.params)
    needed = _needed(job, name)
    verdicts = _read_verdicts(job) if analyses.needs_judge(name) else None
    batches = []
    for start in range(0, total, BATCH_ROWS):
        batch = rows.slice(start, BATCH_ROWS).collect()
        if verdicts is not None:
            needed["verdicts"] = _verdicts_of(batch, verdicts, job)
        columns = analyses.measure(name, batch["response"].to_list(), params, **needed)
        batches.append(
            batch.select("problem_id", "sample_index").with_columns(_column(c, v) for c, v in columns.items())
        )
        job.progress(min(start + BATCH_ROWS, total), total, "responses")
    table = pl.concat(batches)
    write_frame(job.folder / "measures.parquet", table)
    means = {f"mean_{column}": mean_of(table[column]) for column in analyses.columns(name)}
    return {"n": total, **means, "seconds": round(time.monotonic() - started, 3)}


def _column(name: str, values: list[Any]) -> pl.Series:
    """A column of yes and no (null allowed, even throughout) or of numbers."""
    numbers = any(isinstance(value, float) for value in values)
    return pl.Series(name, values, dtype=pl.Float64 if numbers else pl.Boolean)


def _needed(job: Job, name: str) -> dict[str, Any]:
    """What an analysis asks for that is the same for all responses."""
    if not analyses.needs_tokenizer(name):
        return {}
    from pipeline.engines.policy.folder import load_tokenizer

    tokenizer = load_tokenizer(job.one("policy") / "model", chat_template=False)

    def count_tokens(texts: Sequence[str]) -> list[int]:
        return [len(ids) for ids in tokenizer(list(texts), add_special_tokens=False)["input_ids"]]

    return {"count_tokens": count_tokens}


def _verdicts_file(job: Job) -> Path:
    return job.one("verdicts") / "verdicts.parquet"


def _read_verdicts(job: Job) -> pl.DataFrame:
    columns = ("problem_id", "sample_index", "is_positive")
    return scan_columns(_verdicts_file(job), columns).collect()


def _verdicts_of(batch: pl.DataFrame, verdicts: pl.DataFrame, job: Job) -> list[bool | None]:
    """The verdict of each response of a batch, null where it is unreadable."""
    ids = ["problem_id", "sample_index"]
    given = verdicts.with_columns(pl.lit(True).alias("given"))
    found = batch.select(ids).join(given, on=ids, how="left", maintain_order="left")
    absent = found.filter(pl.col("given").is_null())
    if absent.height or found.height != batch.height:
        problem, sample = (absent if absent.height else found).select(ids).row(0)
        raise InputError(
            f"{_verdicts_file(job)}: not one verdict for problem {problem!r} (sample {sample})",
            "The verdicts belong to other completions: judge these.",
        )
    return found["is_positive"].to_list()
