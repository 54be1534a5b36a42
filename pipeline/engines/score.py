"""Grade a completions artifact: completions.parquet in, scores.parquet out.

Guarantees: one row per response, in the order of the input; a killed job resumes after its last part; a
gold answer that cannot be read stops the stage and its row is named (or, on demand, is compared as text
and counted). Refused: completions that lack a
column, or that have no row.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl

from pipeline.benchmarks import text_answers
from pipeline.engines.grading.plain_text import is_same_text
from pipeline.engines.sampling.shards import is_whole
from pipeline.errors import InputError
from pipeline.grading import Grader, Rule, Verdict, find_box
from pipeline.stages.score import ScoreConfig
from pipeline.store.job import Job

PART_ROWS = 1024
"""Responses per working part; fixed, so that parts of an earlier attempt fit."""

COLUMNS = ("problem_id", "sample_index", "answer", "response", "n_tokens", "finish_reason")
SCHEMA = {
    "problem_id": pl.String,
    "sample_index": pl.Int64,
    "correct": pl.Boolean,
    "verdict": pl.String,
    "extracted": pl.String,
    "gold": pl.String,
    "n_tokens": pl.Int64,
    "finish_reason": pl.String,
}
PROBE = r"\boxed{0}"
"""A response whose verdict says only whether the gold answer can be read."""

VERDICTS = ("right", "wrong", "unparsable", "timeout", "truncated")


def run(job: Job) -> dict[str, Any]:
    """Grade input `completions` with job.config; returns counts, accuracy and seconds."""
    started = time.monotonic()
    source = job.one("completions") / "completions.parquet"
    rows = open_completions(source, COLUMNS)
    total = count_rows(rows, source)
    with open_grader(job.config) as grader:
        scores = grade_in_parts(rows, total, grader, job.config, job=job, source=source)
    write_parquet(scores.select(*SCHEMA), job.folder / "scores.parquet")
    return _facts(scores, time.monotonic() - started)


def open_grader(config: ScoreConfig) -> Grader:
    """The grader that a scoring configuration asks for; a context manager."""
    return Grader(config.timeout_seconds, config.processes, Rule(config.unboxed))


def grade_in_parts(
    rows: pl.LazyFrame,
    total: int,
    grader: Grader,
    config: ScoreConfig,
    *,
    job: Job,
    source: Path,
    name: str = "part",
) -> pl.DataFrame:
    """One line (SCHEMA and by_text) per row of COLUMNS; finished parts are kept as work/NAME-….parquet."""
    parts = []
    for start in range(0, total, PART_ROWS):
        part = job.work / f"{name}-{start:09d}.parquet"
        if not is_whole(part):
            batch = rows.slice(start, PART_ROWS).collect()
            write_parquet(_grade_batch(batch, grader, config, source), part)
        job.progress(min(start + PART_ROWS, total), total, "responses")
        parts.append(part)
    return pl.concat([pl.read_parquet(part) for part in parts])


def refuse_unusable_gold(problems: pl.DataFrame, grader: Grader, config: ScoreConfig, source: Path) -> None:
    """Stop before anything is sampled where a row (problem_id, answer) could not be graded."""
    _refuse_missing_gold(problems, source)
    verdicts: list[Verdict | None] = list(grader.grade([(PROBE, gold) for gold in problems["answer"]]))
    if config.unreadable_gold == "compare_text":
        verdicts = [None if v is not None and v.gold.strip() else v for v in verdicts]
    _refuse_unreadable_gold(problems.with_columns(sample_index=pl.lit(0)), verdicts, source)


def _grade_batch(batch: pl.DataFrame, grader: Grader, config: ScoreConfig, source: Path) -> pl.DataFrame:
    cut = [
        reason == "length" and (config.truncated_is_wrong or find_box(response) is None)
        for reason, response in zip(batch["finish_reason"], batch["response"], strict=True)
    ]
    _refuse_missing_gold(batch, source)
    pairs = list(zip(batch["response"], batch["answer"], strict=True))
    graded = iter(grader.grade([pair for pair, is_cut in zip(pairs, cut, strict=True) if not is_cut]))
    verdicts = [None if is_cut else next(graded) for is_cut in cut]
    as_text = [v is not None and v.verdict == "gold_unparsable" and bool(v.gold.strip()) for v in verdicts]
    if config.unreadable_gold == "refuse":
        as_text = [
            by_text and gold in text_answers() for by_text, gold in zip(as_text, batch["answer"], strict=True)
        ]
    verdicts = [_compare_text(v) if by_text else v for v, by_text in zip(verdicts, as_text, strict=True)]
    _refuse_unreadable_gold(batch, verdicts, source)
    return pl.DataFrame(
        {
            "problem_id": batch["problem_id"],
            "sample_index": batch["sample_index"],
            "correct": [v is not None and v.correct for v in verdicts],
            "verdict": ["truncated" if v is None else v.verdict for v in verdicts],
            "extracted": [
                find_box(response) if v is None else v.extracted
                for v, response in zip(verdicts, batch["response"], strict=True)
            ],
            "gold": batch["answer"],
            "n_tokens": batch["n_tokens"],
            "finish_reason": batch["finish_reason"],
            "by_text": as_text,
        },
        schema={**SCHEMA, "by_text": pl.Boolean},
    )


def _compare_text(verdict: Verdict) -> Verdict:
    """The verdict on a gold answer that is no mathematics: the same text as the box, or not."""
    if verdict.extracted is None:
        return replace(verdict, verdict="unparsable")
    same = is_same_text(verdict.extracted, verdict.gold)
    return replace(verdict, verdict="right" if same else "wrong")


def _refuse_missing_gold(batch: pl.DataFrame, source: Path) -> None:
    missing = batch.filter(pl.col("answer").is_null())
    if missing.height:
        raise InputError(
            f"{source}: problem {missing['problem_id'][0]!r} has no gold answer",
            "Drop the row from the benchmark, or give it an answer.",
        )


def _refuse_unreadable_gold(batch: pl.DataFrame, verdicts: list[Verdict | None], source: Path) -> None:
    for problem, sample, verdict in zip(batch["problem_id"], batch["sample_index"], verdicts, strict=True):
        if verdict is not None and verdict.verdict == "gold_unparsable":
            raise InputError(
                f"{source}: problem {problem!r} (sample {sample}): the gold answer {verdict.gold!r} "
                "cannot be read as mathematics",
                "Correct it in the benchmark, drop the row, or score with unreadable_gold: compare_text.",
            )


def _facts(scores: pl.DataFrame, seconds: float) -> dict[str, Any]:
    counts = Counter(scores["verdict"])
    return {
        "n": scores.height,
        "problems": scores["problem_id"].n_unique(),
        "accuracy": float(scores["correct"].mean()),
        **{verdict: counts[verdict] for verdict in VERDICTS},
        "gold_compared_as_text": int(scores["by_text"].sum()),
        "cut_at_limit": int((scores["finish_reason"] == "length").sum()),
        "seconds": round(seconds, 3),
    }


def open_completions(source: Path, columns: tuple[str, ...]) -> pl.LazyFrame:
    """The named columns of a completions file, lazily; InputError where it is broken or lacks one."""
    try:
        rows = pl.scan_parquet(source)
        present = rows.collect_schema().names()
    except (OSError, pl.exceptions.PolarsError) as error:
        raise InputError(f"{source}: not readable: {error}", "Sample again.") from None
    missing = [column for column in columns if column not in present]
    if missing:
        raise InputError(f"{source}: column {missing[0]!r} is missing", f"Found: {', '.join(present)}.")
    return rows.select(columns)


def count_rows(rows: pl.LazyFrame, source: Path) -> int:
    """How many rows there are; none is refused."""
    total = int(rows.select(pl.len()).collect().item())
    if total == 0:
        raise InputError(f"{source}: no responses", "Sample again, with at least one problem.")
    return total


def write_parquet(table: pl.DataFrame, target: Path) -> None:
    """Write and rename, so that the file is either whole or absent."""
    scratch = target.with_name(f".{target.name}.{os.getpid()}")
    table.write_parquet(scratch)
    os.replace(scratch, target)
