"""Grading many responses, in parts that a killed job goes on after: what `score`, `solve` and `synthesise` share.

Guarantees: one line per row, in the order of the input; a gold answer that cannot be read stops the stage and its row
is named (or, on demand, is compared as text and counted).
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import polars as pl

from pipeline.benchmarks import text_answers
from pipeline.engines.grading.plain_text import is_same_text
from pipeline.engines.rows.frames import is_whole, write_frame
from pipeline.errors import InputError
from pipeline.grading import Grader, Rule, Verdict, find_box
from pipeline.stages.score import ScoreConfig
from pipeline.store.job import Job

PART_ROWS = 1024
"""Responses per working part; fixed, so that parts of an earlier attempt fit."""

GRADED_COLUMNS = ("problem_id", "sample_index", "answer", "response", "n_tokens", "finish_reason")
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
"""What is graded, and the columns of its grades."""

PROBE = r"\boxed{0}"
"""A response whose verdict says only whether the gold answer can be read."""


def open_grader(config: ScoreConfig) -> Grader:
    """The grader that a scoring configuration asks for; a context manager."""
    return Grader(config.timeout_seconds, config.processes, Rule(config.unboxed, grader=config.grader))


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
    """One line (SCHEMA and by_text) per row of GRADED_COLUMNS; finished parts are kept as work/NAME-….parquet."""
    parts = []
    for start in range(0, total, PART_ROWS):
        part = job.work / f"{name}-{start:09d}.parquet"
        if not is_whole(part):
            batch = rows.slice(start, PART_ROWS).collect()
            write_frame(part, _grade_batch(batch, grader, config, source))
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
    verdicts: list[Verdict | None] = []
    as_text: list[bool] = []
    for is_cut, gold in zip(cut, batch["answer"], strict=True):
        verdict = None if is_cut else next(graded)
        by_text = verdict is not None and _is_compared_as_text(verdict, gold, config)
        verdicts.append(_compare_text(verdict) if verdict is not None and by_text else verdict)
        as_text.append(by_text)
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


def _is_compared_as_text(verdict: Verdict, gold: str, config: ScoreConfig) -> bool:
    """Whether the gold answer is no mathematics, and a text that is compared as it stands."""
    if verdict.verdict != "gold_unparsable" or not verdict.gold.strip():
        return False
    return config.unreadable_gold != "refuse" or gold in text_answers()


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
