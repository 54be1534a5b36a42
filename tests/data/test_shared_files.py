"""The real benchmark and training files, where they are present: counts, golds, ids."""

import polars as pl
import pytest

from pipeline import benchmarks
from pipeline.stages.source import from_catalogue

COUNTS = {
    "aime24": 30, "amc23": 40, "math500": 500, "gsm8k": 1_319, "minerva_math": 272, "olympiadbench": 675,
    "svamp": 1_000, "gaokao2023en": 385,
}  # fmt: skip

UNREADABLE_AT_MOST = {"gaokao2023en": 5, "minerva_math": 8, "olympiadbench": 4}
"""Golds that Math-Verify 0.9 does not find equal to themselves (set-builder notation, code, prose)."""


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
    assert sum(not verdict.correct for verdict in verdicts) <= UNREADABLE_AT_MOST.get(name, 0)


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
