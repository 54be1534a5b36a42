"""The solve stage's work: rounds of sampling and grading over the problems that are left.

Reads the rows of input `rows` and the model of `policy` (completions.parquet of `budget` for a control); leaves
completions.parquet.
Each round is sampled in shards (work/round-1/…), graded in parts and then kept as one file, so that a killed
job goes on where it was. The model is loaded once, and only if a draw is missing.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl

from pipeline.engines.grading.responses import (
    GRADED_COLUMNS,
    grade_in_parts,
    open_grader,
    refuse_unusable_gold,
)
from pipeline.engines.rows.dropped import DroppedRows
from pipeline.engines.rows.frames import read_made, scan_columns, write_frame
from pipeline.engines.rows.store import count_rows, first_by_key
from pipeline.engines.sampling import requests
from pipeline.engines.sampling.load import Loader
from pipeline.engines.sampling.protocol import row_seed
from pipeline.engines.sampling.requests import read_problems, sample_missing
from pipeline.engines.sampling.shards import Shards, measure
from pipeline.errors import InputError
from pipeline.grading import Grader
from pipeline.stages.solve import SolveConfig
from pipeline.store.job import Job

COLUMNS = (*requests.COLUMNS, "round", "correct")


def run(job: Job) -> dict[str, Any]:
    """Write job.folder/completions.parquet: every draw with its round and whether it is correct.

    The facts give per round: problems tried and solved, draws; then totals, the unsolved problems, speed.
    """
    config: SolveConfig = job.config
    source = job.one("rows") / "rows.parquet"
    problems = read_problems(source).rename({"id": "problem_id"})
    draws = _plan_draws(job, problems)
    loader = Loader(job.one("policy") / "model", config, job.work)
    with open_grader(config.score) as grader:
        refuse_unusable_gold(problems, grader, config.score, source)
        rounds = _make_rounds(job, problems, draws, loader, grader, source)
    frame = pl.concat([frame for frame, _ in rounds])
    order = problems.select("problem_id").with_row_index("order")
    frame = frame.join(order, on="problem_id", how="left").sort("order", "sample_index").drop("order")
    facts = _count(job, problems, draws, rounds, frame)
    if facts["solved"] == 0:
        raise InputError(
            f"the policy solves none of {problems.height} problems in {frame.height} draws",
            "Take easier problems, more samples or longer responses (max_new_tokens), or check that the "
            "policy writes its answers where the grader looks (prompt, score.unboxed).",
        )
    write_frame(job.folder / "completions.parquet", frame.select(COLUMNS))
    return facts


def _plan_draws(job: Job, problems: pl.DataFrame) -> list[pl.DataFrame]:
    """Per round: problem_id and draws, for every problem that is still unsolved by then."""
    budgets = job.inputs.get("budget", ())
    if not budgets:
        if not job.config.rounds:
            raise InputError("solve has no rounds", "Give rounds, such as [2, 10, 100], or an input budget.")
        return [
            problems.select("problem_id", draws=pl.lit(samples, dtype=pl.Int64))
            for samples in job.config.rounds
        ]
    if job.config.rounds:
        raise InputError(
            "solve was given rounds and an input budget",
            "With a budget, rounds must be empty: its draws are spread evenly over the problems.",
        )
    path = job.one("budget") / "completions.parquet"
    total = count_rows(path)
    others = scan_columns(path, ("problem_id",)).unique().collect()["problem_id"]
    if unknown := sorted(set(others) ^ set(problems["problem_id"])):
        raise InputError(
            f"{path}: the budget was spent on other problems; {unknown[0]!r} is in one of the two only",
            "Give both the same rows.",
        )
    each, remainder = divmod(total, problems.height)
    favoured = first_by_key(problems["problem_id"], job.seed, remainder)["id"].implode()
    draws = each + pl.col("problem_id").is_in(favoured).cast(pl.Int64)
    return [problems.select("problem_id", draws=draws)]


def _make_rounds(
    job: Job,
    problems: pl.DataFrame,
    draws: Sequence[pl.DataFrame],
    loader: Loader,
    grader: Grader,
    source: Path,
) -> list[tuple[pl.DataFrame, dict[str, str]]]:
    """The graded draws of every round, with how long they took and by which versions."""
    rounds: list[tuple[pl.DataFrame, dict[str, str]]] = []
    left, first_sample = problems, 0
    for number, planned in enumerate(draws, 1):
        asked = left.join(planned.filter(pl.col("draws") > 0), on="problem_id", maintain_order="left")
        if asked.is_empty():
            break
        path = job.work / f"round-{number}.parquet"
        if not path.exists():
            rows = _number_samples(asked, first_sample, job.seed)
            _make_round(job, number, rows, loader, grader, source)
        frame, note = read_made(path)
        rounds.append((frame, note))
        solved = frame.filter("correct").select("problem_id").unique()
        left = left.join(solved, on="problem_id", how="anti", maintain_order="left")
        first_sample += max(planned["draws"].to_list())
    return rounds


def _number_samples(asked: pl.DataFrame, first_sample: int, seed: int) -> pl.DataFrame:
    """One row per draw of a round, numbered on from the rounds before it."""
    rows = asked.with_columns(
        sample_index=pl.int_ranges(first_sample, first_sample + pl.col("draws"), dtype=pl.Int64)
    ).explode("sample_index")
    seeds = [row_seed(seed, *key) for key in rows.select("problem_id", "sample_index").iter_rows()]
    rows = rows.with_columns(pl.Series("seed", seeds, dtype=pl.Int64)).with_row_index("position")
    return rows.drop("draws")


def _make_round(
    job: Job, number: int, rows: pl.DataFrame, loader: Loader, grader: Grader, source: Path
) -> None:
    """Sample, grade and keep one round as work/round-NUMBER.parquet."""
    folder = job.work / f"round-{number}"
    folder.mkdir(exist_ok=True)
    shards = Shards(folder, rows)
    if len(shards.done) < rows.height:
        for outdated in folder.glob("graded-*.parquet"):  # of draws that are now made again
            outdated.unlink()
        sample_missing(job, loader.sampler(), rows, shards)
    frame = shards.collect().select(requests.COLUMNS)
    graded = grade_in_parts(
        frame.lazy().select(GRADED_COLUMNS),
        frame.height,
        grader,
        job.config.score,
        job=job,
        source=source,
        name=f"round-{number}/graded",
    )
    frame = frame.with_columns(graded["correct"], round=pl.lit(number, dtype=pl.Int64))
    note = {"seconds": repr(shards.seconds), "versions": json.dumps(shards.versions())}
    write_frame(job.work / f"round-{number}.parquet", frame.select(COLUMNS), note)
    shards.drop()


def _count(
    job: Job,
    problems: pl.DataFrame,
    draws: Sequence[pl.DataFrame],
    rounds: Sequence[tuple[pl.DataFrame, dict[str, str]]],
    frame: pl.DataFrame,
) -> dict[str, Any]:
    """What the rounds tried and solved, and what all of it took."""
    tried = set(frame["problem_id"])
    solved = set(frame.filter("correct")["problem_id"])
    dropped = DroppedRows()
    ids = problems["problem_id"].to_list()
    dropped.add("unsolved", [name for name in ids if name in tried and name not in solved])
    dropped.add("not tried", [name for name in ids if name not in tried])
    per_round = [
        {
            "round": number,
            "tried": part["problem_id"].n_unique(),
            "solved": part.filter("correct")["problem_id"].n_unique(),
            "draws": part.height,
            "correct": int(part["correct"].sum()),
        }
        for number, (part, _) in enumerate(rounds, 1)
    ]
    seconds = sum(float(note["seconds"]) for _, note in rounds)
    job.progress(frame.height, frame.height, "responses")
    return {
        "rows_in": problems.height,
        "rows_out": len(solved),
        **dropped.facts(),
        "solved": len(solved),
        "unsolved": problems.height - len(solved),
        "draws": frame.height,
        "rounds": per_round,
        "rounds_not_needed": len(draws) - len(rounds),
        **measure(frame, seconds, json.loads(rounds[-1][1]["versions"])),
    }
