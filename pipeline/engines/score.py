"""The score stage's work: grade responses.

Reads completions.parquet of input `completions`; leaves scores.parquet.
Guarantees: one row per response, in the order of the input; a killed job resumes after its last part.
Refused: completions that lack a column, or that have no row.
"""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

import polars as pl

from pipeline.engines.grading.responses import GRADED_COLUMNS, SCHEMA, grade_in_parts, open_grader
from pipeline.engines.rows.frames import count_responses, mean_of, scan_columns, write_frame
from pipeline.store.job import Job

VERDICTS = ("right", "wrong", "unparsable", "timeout", "truncated")


def run(job: Job) -> dict[str, Any]:
    """Grade input `completions` with job.config; returns counts, accuracy and seconds."""
    started = time.monotonic()
    source = job.one("completions") / "completions.parquet"
    rows = scan_columns(source, GRADED_COLUMNS)
    total = count_responses(rows, source)
    with open_grader(job.config) as grader:
        scores = grade_in_parts(rows, total, grader, job.config, job=job, source=source)
    write_frame(job.folder / "scores.parquet", scores.select(*SCHEMA))
    return _facts(scores, time.monotonic() - started)


def _facts(scores: pl.DataFrame, seconds: float) -> dict[str, Any]:
    counts = Counter(scores["verdict"])
    return {
        "n": scores.height,
        "problems": scores["problem_id"].n_unique(),
        "accuracy": mean_of(scores["correct"]),
        **{verdict: counts[verdict] for verdict in VERDICTS},
        "gold_compared_as_text": int(scores["by_text"].sum()),
        "cut_at_limit": int((scores["finish_reason"] == "length").sum()),
        "seconds": round(seconds, 3),
    }
