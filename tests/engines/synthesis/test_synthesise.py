"""Training rows of what a policy wrote: right responses, dialogues by class, markers, reasons."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from pipeline.engines import dialogue
from pipeline.engines.sampling import protocol as sampling
from pipeline.engines.synthesis import chosen as chosen_rows
from pipeline.engines.synthesis import dialogues as dialogue_rows
from pipeline.errors import InputError, StageError
from pipeline.stages.synthesise import Marker, SynthesiseConfig

RESPONSES = [
    ("a", 0, "one", True, "stop", 9),
    ("a", 1, "two", True, "stop", 3),
    ("a", 2, "two", True, "stop", 3),
    ("a", 3, "no", False, "stop", 1),
    ("a", 4, "three", True, "stop", 5),
    ("b", 0, "one", True, "length", 4),
    ("b", 1, " \n", True, "stop", 2),
    ("b", 2, "one", True, "stop", 4),
    ("c", 0, "no", False, "stop", 4),
]


def write_completions(folder, rows=RESPONSES, correct=True):
    folder.mkdir(parents=True, exist_ok=True)
    frame = pl.DataFrame(
        [
            {
                "problem_id": problem,
                "sample_index": sample,
                "seed": 7,
                "problem": f"{problem}?",
                "answer": "1",
                "response": response,
                "n_tokens": tokens,
                "finish_reason": reason,
                "round": 1 + (sample > 1),
                "correct": is_right,
            }
            for problem, sample, response, is_right, reason, tokens in rows
        ]
    )
    assert tuple(frame.columns[: len(sampling.COLUMNS)]) == sampling.COLUMNS
    frame.select(*(("problem_id", "sample_index", "correct"))).write_parquet(folder / "scores.parquet")
    frame = frame if correct else frame.drop("correct", "round")
    frame.write_parquet(folder / "completions.parquet")
    return folder


def test_right_responses_become_rows_once_and_every_other_is_counted(run_stage, tmp_path):
    rows, facts = run_stage("synthesise", SynthesiseConfig(), completions=write_completions(tmp_path / "c"))
    assert dict(rows.schema) == chosen_rows.SCHEMA
    assert rows["id"].to_list() == ["a#rejection-0", "a#rejection-1", "a#rejection-4", "b#rejection-2"]
    assert rows["problem"].to_list() == ["a?", "a?", "a?", "b?"]
    assert rows["solution"].to_list() == ["one", "two", "three", "one"]
    assert rows["round"].to_list() == [1, 1, 2, 2] and set(rows["origin"]) == {"rejection"}
    assert rows["class"].null_count() == 4
    assert facts == {
        "rows_in": 9,
        "rows_out": 4,
        "dropped": {
            "the same response again": 1,
            "not correct": 2,
            "cut at the limit": 1,
            "empty response": 1,
        },
        "dropped_examples": {
            "the same response again": ["a#rejection-2"],
            "not correct": ["a#rejection-3", "c#rejection-0"],
            "cut at the limit": ["b#rejection-0"],
            "empty response": ["b#rejection-1"],
        },
        "problems_in": 3,
        "problems_out": 2,
    }


def test_any_sampled_and_scored_set_becomes_rows(run_stage, tmp_path):
    folder = write_completions(tmp_path / "c", correct=False)
    rows, _ = run_stage("synthesise", SynthesiseConfig(), completions=folder, scores=folder)
    assert rows["solution"].to_list() == ["one", "two", "three", "one"] and rows["round"].null_count() == 4
    with pytest.raises(InputError, match="nothing says which responses are right"):
        run_stage("synthesise", SynthesiseConfig(), completions=folder)
    scores = pl.read_parquet(folder / "scores.parquet")
    scores.filter(pl.col("problem_id") != "b").write_parquet(folder / "scores.parquet")
    with pytest.raises(
        InputError, match=r"3 of 9 responses have no score in .*, first sample 0 of problem 'b'"
    ):
        run_stage("synthesise", SynthesiseConfig(), completions=folder, scores=folder)


def test_some_right_responses_of_a_problem_are_chosen_by_length_or_by_seed(run_stage, tmp_path):
    completions = write_completions(tmp_path / "c")

    def choose(**config):
        return run_stage("synthesise", SynthesiseConfig(**config), completions=completions)

    rows, facts = choose(per_problem=2, choose="shortest")
    assert rows["id"].to_list() == ["a#rejection-1", "a#rejection-4", "b#rejection-2"]
    assert facts["dropped"]["more than 2 of one problem"] == 1
    chosen = {tuple(choose(per_problem=1, seed=seed)[0]["id"]) for seed in range(12)}
    assert {ids[0] for ids in chosen} == {"a#rejection-0", "a#rejection-1", "a#rejection-4"}
    nested = set(choose(per_problem=1, seed=3)[0]["id"]) < set(choose(per_problem=2, seed=3)[0]["id"])
    assert nested and choose(per_problem=2, seed=3)[0].equals(choose(per_problem=2, seed=3)[0])


def test_a_marker_stands_in_front_of_prompt_or_response(run_stage, tmp_path):
    completions = write_completions(tmp_path / "c")
    for place, column, other in (("prompt", "problem", "solution"), ("response", "solution", "problem")):
        config = SynthesiseConfig(marker=Marker(text="[rejection]\n", place=place))
        rows, _ = run_stage("synthesise", config, completions=completions)
        assert rows[column].str.starts_with("[rejection]\n").all()
        assert not rows[other].str.contains("[rejection]", literal=True).any()


def test_nothing_right_stops_the_stage_and_broken_completions_are_refused(run_stage, tmp_path):
    wrong = write_completions(tmp_path / "w", RESPONSES[3:4])
    with pytest.raises(StageError, match=r"no row is left of 1 \(1 × not correct\)"):
        run_stage("synthesise", SynthesiseConfig(), completions=wrong)
    twice = write_completions(tmp_path / "t", [RESPONSES[0], RESPONSES[0]])
    with pytest.raises(InputError, match="problem 'a' has sample 0 twice"):
        run_stage("synthesise", SynthesiseConfig(), completions=twice)
    pl.read_parquet(twice / "completions.parquet").drop("response").write_parquet(
        twice / "completions.parquet"
    )
    with pytest.raises(InputError, match="column 'response' is missing"):
        run_stage("synthesise", SynthesiseConfig(), completions=twice)
    with pytest.raises(InputError, match="was given neither"):
        run_stage("synthesise", SynthesiseConfig())
    with pytest.raises(InputError, match="was given dialogues and completions"):
        run_stage("synthesise", SynthesiseConfig(), completions=twice, dialogues=twice)


@pytest.mark.parametrize(
    "settings",
    [
        {"balance": 0.0},
        {"balance": -1.0},
        {"keep_classes": ("RR",)},
        {"keep_classes": ("XX",), "balance": False},
        {"template": "{first}"},
        {"marker": Marker(text="x"), "per_problem": 0},
    ],
)
def test_settings_that_cannot_work_are_refused(settings):
    with pytest.raises(ValidationError):
        SynthesiseConfig(**settings)


RIGHT, WRONG = r"\boxed{1}", r"\boxed{2}"
TURNS = {
    "RR": (RIGHT, "holds", f"again {RIGHT}", "so 1"),
    "RW": (RIGHT, "fails", f"rather {WRONG}", "so 2"),
    "WR": (WRONG, "fails", f"rather {RIGHT}", "so 1"),
    "WW": (WRONG, "holds", f"again {WRONG}", "so 2"),
}


def write_dialogues(folder, given):
    """Dialogues from (problem, turns, turn in which it is cut); every gold answer is 1."""
    folder.mkdir(parents=True, exist_ok=True)
    rows, seen = [], {}
    for problem, turns, cut_in in given:
        sample = seen[problem] = seen.get(problem, -1) + 1
        row = {
            "problem_id": problem,
            "sample_index": sample,
            "seed": 0,
            "problem": f"{problem}?",
            "answer": "1",
        }
        for name, text in zip(dialogue.TURNS, turns, strict=True):
            row |= {name: text, f"n_tokens_{name}": 2, f"finish_reason_{name}": "stop"}
        rows.append(row | {"cut_in": cut_in})
    frame = pl.DataFrame(rows, schema=dialogue.SCHEMA)
    frame.write_parquet(folder / "dialogues.parquet")
    return folder


def test_dialogues_are_classed_balanced_and_flattened(run_stage, tmp_path):
    given = [(f"p{i}", TURNS[name], None) for i, name in enumerate(["RR"] * 5 + ["WR"] * 2 + ["RW", "WW"])]
    folder = write_dialogues(tmp_path / "d", given)
    rows, facts = run_stage("synthesise", SynthesiseConfig(), dialogues=folder)
    assert dict(rows.schema) == chosen_rows.SCHEMA
    assert rows["class"].to_list() == ["RR", "RR", "WR", "WR"] and set(rows["origin"]) == {"dialogue"}
    assert rows["id"].to_list()[-2:] == ["p5#dialogue-0", "p6#dialogue-0"]
    assert rows["solution"][-1] == "\n\n".join(TURNS["WR"]) and set(rows["n_tokens"]) == {8}
    assert facts["classes_before"] == {"RR": 5, "RW": 1, "WR": 2, "WW": 1}
    assert facts["classes_after"] == {"RR": 2, "WR": 2}
    assert facts["dropped"] == {
        "more that start right than the balance takes": 3,
        "class RW": 1,
        "class WW": 1,
    }
    chosen = {
        tuple(run_stage("synthesise", SynthesiseConfig(seed=seed), dialogues=folder)[0]["id"])
        for seed in range(9)
    }
    assert len(chosen) > 3, "the seed decides which of the surplus stay"
    everything = SynthesiseConfig(balance=False, keep_classes=("RR", "RW", "WR", "WW"))
    assert run_stage("synthesise", everything, dialogues=folder)[1]["rows_out"] == 9
    assert run_stage("synthesise", SynthesiseConfig(balance=2.0), dialogues=folder)[1]["classes_after"] == {
        "RR": 4,
        "WR": 2,
    }


def test_the_rules_of_dialogues_name_what_they_drop(run_stage, tmp_path):
    boxed = (WRONG, "hm", WRONG, RIGHT)
    given = [
        ("a", (WRONG, "x", None, None), "assessment"),
        ("b", (WRONG, "  ", RIGHT, "so"), None),
        ("c", boxed, None),
        ("d", TURNS["WR"], None),
        ("d", TURNS["WR"], None),
        ("e", TURNS["RR"], None),
    ]
    rows, facts = run_stage(
        "synthesise", SynthesiseConfig(), dialogues=write_dialogues(tmp_path / "d", given)
    )
    assert facts["dropped"] == {
        "cut in assessment": 1,
        "empty assessment": 1,
        "the revision repeats the first answer": 1,
        "the same dialogue again": 1,
    }
    assert facts["dropped_examples"]["the same dialogue again"] == ["d#dialogue-1"]
    assert rows["id"].to_list() == ["d#dialogue-0", "e#dialogue-0"]


def test_the_final_answer_is_the_summarys_box_and_without_one_the_revision():
    assert dialogue_rows.final_answer(WRONG, RIGHT) == RIGHT
    assert dialogue_rows.final_answer(RIGHT, "so it is 2") == RIGHT


def test_a_balance_of_one_sided_dialogues_is_refused_with_the_remedy(run_stage, tmp_path):
    folder = write_dialogues(tmp_path / "d", [("a", TURNS["RR"], None), ("b", TURNS["RR"], None)])
    with pytest.raises(InputError, match="none of the 2 usable dialogues starts with a wrong answer"):
        run_stage("synthesise", SynthesiseConfig(), dialogues=folder)
    assert run_stage("synthesise", SynthesiseConfig(balance=False), dialogues=folder)[1]["rows_out"] == 2
    cut = write_dialogues(tmp_path / "cut", [("a", (None,) * 4, "first")])
    with pytest.raises(StageError, match=r"no row is left of 1 \(1 × cut in first\)"):
        run_stage("synthesise", SynthesiseConfig(), dialogues=cut)


def test_braces_in_a_turn_stay_as_they_are():
    config = SynthesiseConfig(template="{first} | {revised}")
    assert config.flatten({"first": "{revised} {x}", "revised": "{first}"}) == "{revised} {x} | {first}"


@given(
    right=st.integers(1, 500),
    wrong=st.integers(1, 500),
    ratio=st.sampled_from([0.1, 0.5, 1.0, 1.5, 2.0, 3.0]),
)
def test_a_balance_keeps_the_ratio_and_as_much_as_it_can(right, wrong, ratio):
    kept_right, kept_wrong = dialogue_rows.balance(right, wrong, ratio)
    assert 1 <= kept_right <= right and 1 <= kept_wrong <= wrong
    assert kept_right == right or kept_wrong == wrong
    if kept_wrong > 1 and kept_right > 1:
        assert abs(kept_right - ratio * kept_wrong) <= max(1, ratio)
