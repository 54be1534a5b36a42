"""Selecting rows by how often a model solved them, or by a judge's labels."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from pipeline.errors import InputError, StageError
from pipeline.stages.select import SelectConfig

SOLVED = {"a": 4, "b": 0, "c": 2, "d": 1, "e": 3}
ROWS = pl.DataFrame(
    {"id": list(SOLVED), "problem": [f"{name}?" for name in SOLVED], "level": [1, 2, 3, 4, 5]}
)


def write_scores(folder, solved=SOLVED, samples=4):
    folder.mkdir(exist_ok=True)
    pairs = [(name, i, i < n) for name, n in reversed(solved.items()) for i in range(samples)]
    frame = pl.DataFrame(pairs, schema=["problem_id", "sample_index", "correct"], orient="row")
    frame.write_parquet(folder / "scores.parquet")
    return folder


def write_verdicts(folder, labels):
    folder.mkdir(exist_ok=True)
    pairs = [(name, i, label) for name, given in labels.items() for i, label in enumerate(given)]
    schema = {"problem_id": pl.String, "sample_index": pl.Int64, "label": pl.String}
    pl.DataFrame(pairs, schema=schema, orient="row").write_parquet(folder / "verdicts.parquet")
    return folder


@pytest.fixture
def by_scores(run_stage, make_rows, tmp_path):
    def run(rows=ROWS, solved=SOLVED, **bounds):
        scores = write_scores(tmp_path / "scores", solved)
        return run_stage("select", SelectConfig(**bounds), rows=make_rows(rows), scores=scores)

    return run


def test_what_the_model_always_solves_goes_and_the_share_stays_as_a_column(by_scores):
    rows, facts = by_scores(below=1.0)
    assert rows["id"].to_list() == ["b", "c", "d", "e"]
    assert rows["solved_share"].to_list() == [0.0, 0.5, 0.25, 0.75]
    assert rows.columns == ["id", "problem", "level", "solved_share"]
    assert facts == {
        "rows_in": 5,
        "rows_out": 4,
        "dropped": {"solved by the model (4 of 4)": 1},
        "dropped_examples": {"solved by the model (4 of 4)": ["a"]},
        "outcomes": {"0 of 4": 1, "1 of 4": 1, "2 of 4": 1, "3 of 4": 1, "4 of 4": 1},
        "judged_problems_without_a_row": 0,
    }


def test_the_reference_difficulty_filter_is_strict_on_both_sides(by_scores):
    rows, facts = by_scores(above=0.25, below=0.75)
    assert rows["id"].to_list() == ["c"]
    assert facts["dropped"] == {
        "solved by the model (4 of 4)": 1,
        "never solved": 1,
        "solved too rarely (1 of 4)": 1,
        "solved by the model (3 of 4)": 1,
    }
    assert by_scores(at_least=0.25, at_most=0.75)[0]["id"].to_list() == ["c", "d", "e"]


@given(low=st.integers(0, 4), high=st.integers(0, 4))
def test_bounds_part_the_shares_without_gap_or_overlap(low, high):
    for share in (0, 0.25, 0.5, 0.75, 1):
        if high:
            below, at_least = SelectConfig(below=high / 4), SelectConfig(at_least=high / 4)
            assert below.is_too_large(share) != at_least.is_too_small(share)
        if low < 4:
            above, at_most = SelectConfig(above=low / 4), SelectConfig(at_most=low / 4)
            assert above.is_too_small(share) != at_most.is_too_large(share)


def test_scores_of_other_problems_are_counted_and_an_older_share_is_replaced(by_scores):
    once, _ = by_scores(at_most=0.5)
    rows, facts = by_scores(rows=once, solved={**SOLVED, "b": 1}, at_least=0.25)
    assert rows["solved_share"].to_list() == [0.25, 0.5, 0.25]
    assert facts["judged_problems_without_a_row"] == 2


def test_a_row_without_a_score_is_named(by_scores):
    with pytest.raises(InputError, match=r"1 of 5 rows have no sample in .*, first 'c'"):
        by_scores(solved={name: n for name, n in SOLVED.items() if name != "c"}, below=1.0)


def test_a_selection_that_leaves_nothing_says_why(by_scores):
    with pytest.raises(
        StageError, match=r"leaves nothing of 2 rows \(1 × solved by the model \(4 of 4\), 1 ×"
    ):
        by_scores(rows=ROWS.head(2), above=0.3, below=0.4)


def test_rows_are_kept_by_a_judges_labels(run_stage, make_rows, tmp_path):
    labels = {"a": ["fine"], "b": ["noisy"], "c": [None], "d": ["fine", None], "e": ["fine", "several parts"]}
    verdicts = write_verdicts(tmp_path / "judge", labels)
    rows, facts = run_stage("select", SelectConfig(labels=("fine",)), rows=make_rows(ROWS), verdicts=verdicts)
    assert rows["id"].to_list() == ["a", "d"]
    assert rows.columns == ROWS.columns
    assert facts["dropped"] == {"judged noisy": 1, "unreadable verdict": 1, "judged several parts": 1}
    assert facts["outcomes"] == {"fine": 2, "noisy": 1, "several parts": 1, "unreadable": 1}
    lenient = SelectConfig(labels=("fine", "noisy"), unreadable="keep")
    kept, _ = run_stage("select", lenient, rows=make_rows(ROWS), verdicts=verdicts)
    assert kept["id"].to_list() == ["a", "b", "c", "d"]


def test_labels_that_the_judge_never_gave_and_inputs_of_the_other_kind_are_refused(
    run_stage, make_rows, tmp_path
):
    verdicts, rows = write_verdicts(tmp_path / "judge", {"a": ["fine"]}), make_rows(ROWS.head(1))
    with pytest.raises(InputError, match=r"no verdict has one of the labels fin\n.*Did you mean 'fine'"):
        run_stage("select", SelectConfig(labels=("fin",)), rows=rows, verdicts=verdicts)
    with pytest.raises(InputError, match="by bounds reads scores and was given verdicts"):
        run_stage("select", SelectConfig(below=1.0), rows=rows, verdicts=verdicts)


def test_broken_scores_are_refused(run_stage, make_rows, tmp_path):
    scores, rows = write_scores(tmp_path / "scores"), make_rows(ROWS)

    def refuse(message):
        with pytest.raises(InputError, match=message):
            run_stage("select", SelectConfig(below=1.0), rows=rows, scores=scores)

    good = pl.read_parquet(scores / "scores.parquet")
    pl.concat([good, good.head(1)]).write_parquet(scores / "scores.parquet")
    refuse("problem 'e' has sample 0 twice")
    good.with_columns(correct=pl.lit(None, dtype=pl.Boolean)).write_parquet(scores / "scores.parquet")
    refuse(r"problem 'e' \(sample 0\) has no score")
    good.drop("correct").write_parquet(scores / "scores.parquet")
    refuse("column 'correct' is missing")
    (scores / "scores.parquet").unlink()
    refuse("not readable")


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"labels": ("x",), "below": 0.5},
        {"above": 0.1, "at_least": 0.2},
        {"above": 0.5, "below": 0.5},
        {"at_least": 0.6, "at_most": 0.5},
        {"below": 1.5},
    ],
)
def test_bounds_that_contradict_each_other_are_refused(given):
    with pytest.raises(ValidationError):
        SelectConfig(**given)
