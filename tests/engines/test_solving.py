"""Solving in rounds: who is tried how often, what is kept, equal budgets, resuming, refusals."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from pydantic import ValidationError

from pipeline.engines import solve as solving
from pipeline.engines.sampling import protocol as sampling
from pipeline.errors import InputError, StageError
from pipeline.stages.sample import SampleConfig
from pipeline.stages.score import ScoreConfig
from pipeline.stages.solve import SolveConfig
from pipeline.store.job import Job
from tests.support import ROOT

PROTOCOL = {"temperature": 1.0, "top_p": 1.0, "max_new_tokens": 4, "precision": "fp32"}


def write_rows(folder: Path, n: int = 12, impossible: int = 2) -> Path:
    """Problems whose answers are digits, the last ones negative: a guesser never finds those."""
    folder.mkdir(parents=True, exist_ok=True)
    answers = [str(i % 10) for i in range(n - impossible)] + ["-5"] * impossible
    problems = [f"What is {i}+{i}?" for i in range(n)]
    frame = pl.DataFrame({"id": [f"p{i}" for i in range(n)], "problem": problems, "answer": answers})
    frame.write_parquet(folder / "rows.parquet")
    return folder


def make_job(tmp_path: Path, policy: Path, rounds=(1, 4, 17), n: int = 12, budget=None, **changes) -> Job:
    rows = write_rows(tmp_path / "rows", n, impossible=min(2, n - 1))
    inputs = {"policy": (policy,), "rows": (rows,)} | ({"budget": (budget,)} if budget else {})
    folder = tmp_path / "job"
    folder.mkdir(parents=True, exist_ok=True)
    config = SolveConfig(rounds=rounds, **(PROTOCOL | changes))
    return Job(key="solve-1", stage="solve", config=config, seed=5, inputs=inputs, folder=folder)


@pytest.fixture(scope="module")
def finished(guesser, tmp_path_factory) -> tuple[Job, dict, pl.DataFrame]:
    job = make_job(tmp_path_factory.mktemp("solve"), guesser)
    facts = solving.solve(job)
    return job, facts, pl.read_parquet(job.folder / "completions.parquet")


def test_each_round_tries_only_what_no_earlier_round_solved(finished):
    _, facts, frame = finished
    assert tuple(frame.columns) == solving.COLUMNS
    left = {f"p{i}" for i in range(12)}
    for number, samples in enumerate((1, 4, 17), 1):
        part = frame.filter(pl.col("round") == number)
        assert Counter(part["problem_id"]) == dict.fromkeys(left, samples)
        solved = set(part.filter("correct")["problem_id"])
        assert facts["rounds"][number - 1] == {
            "round": number,
            "tried": len(left),
            "solved": len(solved),
            "draws": len(left) * samples,
            "correct": part["correct"].sum(),
        }
        left -= solved
    assert {"p10", "p11"} <= left and facts["unsolved"] == len(left) < 12
    assert facts["dropped"] == {"unsolved": len(left)} and set(facts["dropped_examples"]["unsolved"]) <= left
    assert (facts["rows_in"], facts["rows_out"]) == (12, 12 - len(left))
    assert facts["draws"] == frame.height == facts["responses"]
    assert sum(part["solved"] > 0 for part in facts["rounds"]) > 1, "more than one round should solve some"


def test_correct_means_what_the_grader_of_score_says(finished):
    _, _, frame = finished
    assert frame.filter("correct").height == sum(
        response.strip() == answer for response, answer in frame.select("response", "answer").iter_rows()
    )


def test_no_draw_is_made_twice_and_the_first_round_is_that_of_sample(finished, guesser, tmp_path):
    job, _, frame = finished
    assert frame["seed"].n_unique() == frame.height
    per_problem = frame.group_by("problem_id", maintain_order=True).agg("sample_index")
    assert all(found == list(range(len(found))) for found in per_problem["sample_index"].to_list())
    assert per_problem["problem_id"].to_list() == [f"p{i}" for i in range(12)]
    inputs = {"policy": (guesser,), "problems": job.inputs["rows"]}
    other = Job("s", "sample", SampleConfig(samples=1, **PROTOCOL), 5, inputs, tmp_path)
    sampling.sample_family(other)
    sampled = pl.read_parquet(tmp_path / "completions.parquet")
    assert frame.filter(pl.col("round") == 1).select(sampled.columns).equals(sampled)


def test_a_control_spends_the_same_draws_evenly(finished, guesser, tmp_path):
    job, facts, _ = finished
    control = make_job(tmp_path, guesser, rounds=(), budget=job.folder)
    found = solving.solve(control)
    frame = pl.read_parquet(control.folder / "completions.parquet")
    counts = Counter(frame["problem_id"])
    assert found["draws"] == facts["draws"] == sum(counts.values())
    assert max(counts.values()) - min(counts.values()) == 1 and len(counts) == 12
    assert [part["draws"] for part in found["rounds"]] == [facts["draws"]]
    order = [f"p{i}" for i in range(12)]
    favoured = [name for name in order if counts[name] == max(counts.values())]
    assert favoured != order[: len(favoured)], "the seed decides who gets the remainder, not the order"


def test_a_budget_of_other_problems_is_refused(finished, guesser, tmp_path):
    control = make_job(tmp_path, guesser, rounds=(), n=11, budget=finished[0].folder)
    with pytest.raises(InputError, match="spent on other problems; 'p11'"):
        solving.solve(control)
    with pytest.raises(InputError, match="rounds and an input budget"):
        solving.solve(make_job(tmp_path, guesser, budget=finished[0].folder))
    with pytest.raises(InputError, match="no rounds"):
        solving.solve(make_job(tmp_path, guesser, rounds=()))


def test_rounds_end_when_nothing_is_left(guesser, tmp_path):
    job = make_job(tmp_path, guesser, rounds=(200, 300, 400), n=1)
    facts = solving.solve(job)
    assert facts["rounds_not_needed"] == 2 and len(facts["rounds"]) == 1 and facts["unsolved"] == 0
    assert facts["dropped"] == {}


def test_a_stage_that_solves_nothing_says_so(guesser, tmp_path):
    job = make_job(tmp_path, guesser, rounds=(1, 2), n=3)
    pl.read_parquet(job.one("rows") / "rows.parquet").with_columns(answer=pl.lit("1/7")).write_parquet(
        job.one("rows") / "rows.parquet"
    )
    with pytest.raises(InputError, match="solves none of 3 problems in 9 draws"):
        solving.solve(job)
    assert not (job.folder / "completions.parquet").exists()


@pytest.mark.parametrize(
    ("answer", "message"), [(None, "'p1' has no gold answer"), ("b > a > c", "problem 'p1'.*cannot be read")]
)
def test_a_gold_answer_that_cannot_be_graded_stops_before_anything_is_drawn(tmp_path, answer, message):
    job = make_job(tmp_path, Path("nowhere"), n=3)
    path = job.one("rows") / "rows.parquet"
    rows = pl.read_parquet(path)
    changed = pl.when(pl.col("id") == "p1").then(pl.lit(answer, dtype=pl.String)).otherwise("answer")
    rows.with_columns(answer=changed).write_parquet(path)
    with pytest.raises(InputError, match=message):
        solving.solve(job)


KILLED = {"n": 6, "rounds": (2, 4, 16), "shard_rows": 4, "batch_size": 1}


def test_a_killed_job_resumes_after_its_last_shard(finished, guesser, tmp_path):
    whole = make_job(tmp_path / "whole", guesser, **KILLED)
    solving.solve(whole)
    job = make_job(tmp_path / "killed", guesser, **KILLED)
    program = (
        "import sys; from pathlib import Path; import tests.engines.test_solving as t;"
        "t.solving.solve(t.make_job(Path(sys.argv[1]), Path(sys.argv[2]), **t.KILLED))"
    )
    here = str(ROOT)
    child = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path / "killed"), str(guesser)],
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": here}, cwd=here,
    )  # fmt: skip
    while len(list(job.work.glob("round-3/shard-*"))) < 2 and child.poll() is None:
        time.sleep(0.005)
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert not (job.folder / "completions.parquet").exists()
    saved = {path: path.stat().st_mtime_ns for path in job.work.glob("round-[12].parquet")}
    assert len(saved) == 2
    solving.solve(job)
    assert saved == {path: path.stat().st_mtime_ns for path in saved}
    ours, theirs = (pl.read_parquet(j.folder / "completions.parquet") for j in (job, whole))
    assert ours.equals(theirs)
    (job.folder / "completions.parquet").unlink()
    again = replace(job, inputs={**job.inputs, "policy": (Path("nowhere"),)})
    solving.solve(again)
    assert pl.read_parquet(job.folder / "completions.parquet").equals(theirs), "and needs no model for that"


def test_a_damaged_round_stops_the_job_and_a_shard_drawn_again_is_graded_again(
    guesser, tmp_path, monkeypatch
):
    job = make_job(tmp_path, guesser, rounds=(1, 4), shard_rows=4)
    monkeypatch.setattr(solving.Shards, "drop", lambda self: None)
    solving.solve(job)
    (job.work / "round-1.parquet").write_bytes(b"PAR1 torn")
    with pytest.raises(StageError, match=r"round-1\.parquet: damaged.*\n.*Move .*work away"):
        solving.solve(job)
    (job.work / "round-1.parquet").unlink()
    (job.work / "round-1" / "shard-00001.parquet").write_bytes(b"")
    graded = next((job.work / "round-1").glob("graded-*.parquet"))
    stale = pl.read_parquet(graded).with_columns(correct=~pl.col("correct"))
    stale.write_parquet(graded)
    solving.solve(job)
    assert pl.read_parquet(graded)["correct"].equals(~stale["correct"])


def test_rounds_must_grow_and_the_protocol_is_that_of_sample():
    for rounds in ((0, 1), (4, 4), (10, 1)):
        with pytest.raises(ValidationError):
            SolveConfig(max_new_tokens=8, rounds=rounds)
    assert SolveConfig(
        max_new_tokens=8, rounds=(1,), batch_size=2, score=ScoreConfig(processes=1)
    ).identity() == {
        "max_new_tokens": 8,
        "rounds": [1],
    }
