"""Scoring a completions artifact: rows, counts, cut responses, resuming, refusals."""

from __future__ import annotations

import polars as pl
import pytest

from pipeline.engines import score
from pipeline.engines.grading import responses
from pipeline.errors import InputError
from pipeline.stages.score import ScoreConfig
from pipeline.store.job import Job

ROWS = [
    ("a", 0, "27.0", r"so \boxed{27}", "stop"),
    ("a", 1, "27.0", r"so \boxed{28}", "stop"),
    ("b", 0, r"\frac12", "about one half, 0.5", "stop"),
    ("b", 1, r"\frac12", "no idea", "stop"),
    ("c", 0, "3", r"\boxed{3} and on and", "length"),
    ("c", 1, "3", "3 and", "length"),
]


def make_job(folder, rows=ROWS, **config):
    source = folder / "completions"
    source.mkdir(exist_ok=True)
    pl.DataFrame(
        [
            {
                "problem_id": p,
                "sample_index": i,
                "seed": 0,
                "problem": "?",
                "answer": a,
                "response": r,
                "n_tokens": len(r),
                "finish_reason": f,
            }
            for p, i, a, r, f in rows
        ],
        schema={
            "problem_id": pl.String,
            "sample_index": pl.Int64,
            "seed": pl.Int64,
            "problem": pl.String,
            "answer": pl.String,
            "response": pl.String,
            "n_tokens": pl.Int64,
            "finish_reason": pl.String,
        },
    ).write_parquet(source / "completions.parquet")
    target = folder / "scores"
    target.mkdir(exist_ok=True)
    return Job("k", "score", ScoreConfig(**config), 0, {"completions": (source,)}, target)


def test_every_response_gets_its_row_and_the_facts_add_up(tmp_path):
    job = make_job(tmp_path)
    facts = score.run(job)
    table = pl.read_parquet(job.folder / "scores.parquet")
    assert table.schema == score.SCHEMA
    assert table["verdict"].to_list() == ["right", "wrong", "right", "unparsable", "truncated", "truncated"]
    assert table["correct"].to_list() == [True, False, True, False, False, False]
    assert table["extracted"].to_list() == ["27", "28", "0.5", None, "3", None]
    assert table["finish_reason"].to_list() == [row[4] for row in ROWS]
    assert facts.pop("seconds") > 0
    assert facts == {
        "n": 6,
        "problems": 3,
        "accuracy": 2 / 6,
        "right": 2,
        "wrong": 1,
        "unparsable": 1,
        "timeout": 0,
        "truncated": 2,
        "gold_compared_as_text": 0,
        "cut_at_limit": 2,
    }


def test_a_cut_response_can_be_graded_by_its_final_box(tmp_path):
    job = make_job(tmp_path, truncated_is_wrong=False)
    score.run(job)
    assert pl.read_parquet(job.folder / "scores.parquet")["verdict"].to_list()[4:] == ["right", "truncated"]


def test_a_killed_job_resumes_after_its_last_part_and_gives_the_same_rows(tmp_path, monkeypatch):
    monkeypatch.setattr(responses, "PART_ROWS", 2)
    job = make_job(tmp_path)
    score.run(job)
    whole = pl.read_parquet(job.folder / "scores.parquet")
    (job.folder / "scores.parquet").unlink()
    (job.work / "part-000000002.parquet").unlink()
    kept = (job.work / "part-000000000.parquet").stat().st_mtime_ns
    score.run(job)
    assert pl.read_parquet(job.folder / "scores.parquet").equals(whole)
    assert (job.work / "part-000000000.parquet").stat().st_mtime_ns == kept
    (job.work / "part-000000002.parquet").write_bytes(b"PAR1 torn")
    score.run(job)
    assert pl.read_parquet(job.folder / "scores.parquet").equals(whole)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ("b > d > c", "problem 'q'.*'b > d > c' cannot be read"),
        ("", "problem 'q'.*'' cannot be read"),
        (None, "'q' has no gold"),
    ],
)
def test_a_gold_answer_that_is_no_mathematics_stops_the_stage_and_names_the_row(tmp_path, answer, message):
    job = make_job(tmp_path, [*ROWS, ("q", 0, answer, r"\boxed{1}", "stop")])
    with pytest.raises(InputError, match=message):
        score.run(job)
    assert not (job.folder / "scores.parquet").exists()


def test_such_a_gold_answer_can_be_compared_as_text_on_demand(tmp_path):
    gold = "$b > a > c$"
    answers = [r"\boxed{b>a>c}", r"\boxed{c>a>b}", "b > a > c"]
    rows = [("q", i, gold, answer, "stop") for i, answer in enumerate(answers)]
    job = make_job(tmp_path, rows, unreadable_gold="compare_text")
    facts = score.run(job)
    assert facts["gold_compared_as_text"] == 3
    table = pl.read_parquet(job.folder / "scores.parquet")
    assert table.columns == list(score.SCHEMA)
    assert table["verdict"].to_list() == ["right", "wrong", "unparsable"]


def test_missing_files_columns_and_rows_are_refused(tmp_path):
    job = make_job(tmp_path, [])
    with pytest.raises(InputError, match="no responses"):
        score.run(job)
    source = job.one("completions") / "completions.parquet"
    pl.DataFrame({"problem_id": ["a"]}).write_parquet(source)
    with pytest.raises(InputError, match="column 'sample_index' is missing"):
        score.run(job)
    source.write_bytes(b"not parquet")
    with pytest.raises(InputError, match="not readable"):
        score.run(job)
    source.unlink()
    with pytest.raises(InputError, match="not readable"):
        score.run(job)


def test_processes_are_placement_and_the_treatment_of_cut_responses_is_content():
    assert ScoreConfig(processes=4).identity() == {}
    assert ScoreConfig(truncated_is_wrong=False).identity() == {"truncated_is_wrong": False}
