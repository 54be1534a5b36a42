"""The real benchmark and training files, where they are present: counts, golds, ids."""

import dataclasses
import re
from decimal import Decimal

import polars as pl
import pytest

from pipeline import benchmarks
from pipeline.stages.source import from_catalogue
from tests.support import ROOT

COUNTS = {
    "aime24": 30, "amc23": 40, "math500": 500, "gsm8k": 1_319, "minerva_math": 272, "olympiadbench": 675,
    "svamp": 1_000, "gaokao2023en": 385,
}  # fmt: skip

NEVER_RIGHT = {"olympiadbench": ["1965"]}
"""Golds of which the grader reads something else than they say (a sentence); the grader finds them wrong."""


@pytest.mark.parametrize("name", COUNTS)
def test_benchmark_file_maps_completely(name, shared_data, run_stage):
    source = from_catalogue("benchmark", name, local=str(shared_data / "benchmarks" / f"{name}.jsonl"))
    rows, facts = run_stage("source", source)
    assert len(rows) == facts["rows_in"] == COUNTS[name] == benchmarks.get(name).origin().rows
    assert rows["answer"].null_count() == rows["problem"].null_count() == 0
    assert rows["id"].n_unique() == len(rows)
    if benchmarks.get(name).gold_kind == "integer":
        assert rows["answer"].str.contains(r"^-?\d+$").all()


@pytest.mark.parametrize("name", COUNTS)
def test_benchmark_golds_are_read_by_the_grader(name, shared_data, run_stage):
    from pipeline.grading import Grader

    source = from_catalogue("benchmark", name, local=str(shared_data / "benchmarks" / f"{name}.jsonl"))
    rows, _ = run_stage("source", source)
    golds = rows["answer"].to_list()
    with Grader() as grader:
        verdicts = grader.grade([(f"\\boxed{{{gold}}}", gold) for gold in golds])
    unreadable = [verdict.gold for verdict in verdicts if verdict.verdict == "gold_unparsable"]
    assert sorted(unreadable) == sorted(benchmarks.get(name).text_answers)
    assert not any(verdict.verdict in ("unparsable", "timeout") for verdict in verdicts)
    wrong = [row for row, verdict in zip(rows["id"], verdicts, strict=True) if verdict.verdict == "wrong"]
    assert wrong == NEVER_RIGHT.get(name, [])


def test_golds_of_minerva_in_the_notation_of_code_are_numbers(shared_data, run_stage):
    from pipeline.grading import Grader

    local = str(shared_data / "benchmarks" / "minerva_math.jsonl")
    rows, _ = run_stage("source", from_catalogue("benchmark", "minerva_math", local=local))
    golds = [gold for gold in rows["answer"] if re.fullmatch(r"[\d.]+e-?\d+", gold)]
    parts = [gold.split("e") for gold in golds]
    with Grader() as grader:
        for factor, verdict in (("1", "right"), ("1.03", "wrong")):
            answers = [rf"\boxed{{{Decimal(factor) * Decimal(m)} \times 10^{{{e}}}}}" for m, e in parts]
            assert {v.verdict for v in grader.grade(list(zip(answers, golds, strict=True)))} == {verdict}
            plain = [f"\\boxed{{{Decimal(factor) * Decimal(gold):f}}}" for gold in golds]
            assert {v.verdict for v in grader.grade(list(zip(plain, golds, strict=True)))} == {verdict}
    assert len(golds) == 58


@pytest.mark.parametrize("name", ["minerva_math", "gaokao2023en", "olympiadbench"])
def test_responses_that_repeat_the_golds_are_scored_without_any_setting(
    name, shared_data, run_stage, make_job
):
    from pipeline import stages

    source = from_catalogue("benchmark", name, local=str(shared_data / "benchmarks" / f"{name}.jsonl"))
    rows, _ = run_stage("source", source)
    job = make_job("score", stages.load("score").Config())
    completions = rows.select(
        problem_id="id",
        sample_index=pl.lit(0, dtype=pl.Int64),
        answer="answer",
        response="\\boxed{" + pl.col("answer") + "}",
        n_tokens=pl.lit(5, dtype=pl.Int64),
        finish_reason=pl.lit("stop"),
    )
    folder = job.folder / "completions"
    folder.mkdir()
    completions.write_parquet(folder / "completions.parquet")
    facts = stages.load("score").run(dataclasses.replace(job, inputs={"completions": (folder,)}))
    assert facts["gold_compared_as_text"] == len(benchmarks.get(name).text_answers)
    assert facts["right"] == COUNTS[name] - len(NEVER_RIGHT.get(name, []))


@pytest.mark.parametrize(
    ("name", "file", "rows_in", "dropped"),
    [
        ("gsm8k", "gsm8k.jsonl", 7_473, 0),
        ("deepscaler", "deepscaler_math.json", 7_474, 4),
        ("deepscaler", "deepscaler_aime.json", 975, 0),
    ],
)
def test_training_file_maps(name, file, rows_in, dropped, shared_data, run_stage):
    rows, facts = run_stage(
        "source", from_catalogue("dataset", name, local=str(shared_data / "train" / file))
    )
    assert (facts["rows_in"], len(rows)) == (rows_in, rows_in - dropped)
    assert facts["dropped"].get("no gold answer", 0) == dropped
    assert rows["answer"].null_count() == 0


@pytest.mark.parametrize("study", ["open_rs", "dual_phase"])
def test_no_gold_of_deepscaler_stops_a_study_that_draws_answers_to_it(study, shared_data, run_stage):
    from pipeline.engines.score import refuse_unusable_gold
    from pipeline.grading import Grader
    from pipeline.spec import read_study

    rows, _ = run_stage(
        "source",
        from_catalogue("dataset", "deepscaler", local=str(shared_data / "train" / "deepscaler_math.json")),
    )
    spec = read_study(ROOT / "specs" / f"{study}.yaml")[0].spec
    problems = rows.select(problem_id="id", answer="answer")
    with Grader(processes=2) as grader:
        refuse_unusable_gold(problems, grader, spec.score, shared_data)


def test_gaokao_rows_with_a_blank_gold_do_not_show_their_answer(shared_data, run_stage):
    source = from_catalogue(
        "benchmark", "gaokao2023en", local=str(shared_data / "benchmarks" / "gaokao2023en.jsonl")
    )
    rows, _ = run_stage("source", source)
    assert rows["answer"][167] == "\\frac{3}{10}" and rows["answer"][192] == "A"
    assert rows.filter(pl.col("problem").str.contains(r"(?i)answers?: \S+$")).is_empty()


def test_gsm8k_training_set_shares_no_problem_with_the_benchmark(shared_data, run_stage):
    train, _ = run_stage(
        "source", from_catalogue("dataset", "gsm8k", local=str(shared_data / "train" / "gsm8k.jsonl"))
    )
    test, _ = run_stage(
        "source", from_catalogue("benchmark", "gsm8k", local=str(shared_data / "benchmarks" / "gsm8k.jsonl"))
    )
    assert not set(train["id"]) & set(test["id"])
