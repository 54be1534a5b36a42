"""Text analyses: golden values, columns, and the stage that writes them."""

from __future__ import annotations

import time

import polars as pl
import pytest

from pipeline import analyses
from pipeline.analyses.operations import count_operations
from pipeline.analyses.reflection_keywords import KEYWORDS
from pipeline.errors import StudyError
from pipeline.fingerprint import Config
from pipeline.job import Job
from pipeline.stages import analyse

TEXTS = [
    "",
    "plain words",
    r"<think>2+3 = 5</think> \boxed{5}",
    "Wait. Let me Double-Check: 我们再看 x",
    "a " * 50,
]


@pytest.mark.parametrize(
    ("text", "operations"),
    [
        ("93/3+77+(12-32)-11+61*78+44*39+55 = 6606", 10),
        ("(14*21*38+32+23+31+3)-11+59+71+60 is 11440", 10),
        ("2+3+4 = 5+4 = 9", 3),
        ("12 - 32 = -20", 1),
        (r"$61 \times 78 = 4758$", 1),
        (r"\(61 \cdot 78\) equals 4758", 1),
        (r"\frac{93}{3} = 31", 1),
        ("5 − -3 = 8", 1),
        ("1,234 + 1 = 1,235", 1),
        ("3 + 4 = (7)", 1),
        ("12-3=9, 9/3 is 3. So 3*4=12", 3),
        ("7 equals 7", 0),
        ("3+4 = ?", 0),
        ("2+3", 0),
        ("x+3 = 5", 0),
        ("2^3 + 4 = 12", 0),
    ],
)
def test_operations_count_binary_operators_with_a_result(text, operations):
    assert count_operations(text) == operations


def test_operations_take_linear_time():
    started = time.monotonic()
    for text in ("1+" * 30_000, "(1 " * 30_000, "(" * 60_000, "1+1 = " * 20_000):
        count_operations(text)
    assert time.monotonic() - started < 5


def test_reflection_is_fifteen_keywords_and_wait_is_none_of_them():
    assert len(KEYWORDS) == 15
    responses = [f"So I {keyword.upper()}." for keyword in KEYWORDS] + ["Wait, hmm. Alternatively, check."]
    measured = analyses.measure("reflection_keywords", responses)
    assert measured["reflects"] == [True] * 15 + [False]
    assert analyses.measure("reflection_keywords", ["check again, then check again"])["keywords"] == [2.0]


def test_layout_finds_boxes_and_closed_thinking():
    measured = analyses.measure("layout", [r"<think>ab</think>\boxed{1}", "</think>x", "thinking", ""])
    assert measured["boxed"] == [True, False, False, False]
    assert measured["thinks"] == [True, False, False, False]
    assert measured["thinking_share"] == [pytest.approx(2 / 26), 0, 0, 0]


def test_repetition_is_the_share_of_ngrams_seen_before():
    assert analyses.measure("repetition", ["a b c d", "a a a a a", "x", ""])["repeated_share"] == [
        0,
        0.5,
        0,
        0,
    ]


def test_non_english_letters_are_those_of_other_scripts():
    texts = ["abc", "ab再看", "α ≤ ∑ 12", "naïve 𝑥 ℝ", "да", ""]
    measured = analyses.measure("non_english", texts)
    assert measured["non_english_share"] == [0, 0.5, 0, 0, 1, 0]
    assert measured["mixed"] == [False, True, False, False, True, False]


def test_length_counts_characters_and_words():
    assert analyses.measure("length", ["ab  cd\ne", ""]) == {"characters": [8.0, 0.0], "words": [3.0, 0.0]}


@pytest.mark.parametrize("name", analyses.names())
def test_every_analysis_keeps_its_word(name):
    measured = analyses.measure(name, TEXTS)
    assert tuple(measured) == analyses.columns(name)
    assert all(len(values) == len(TEXTS) for values in measured.values())
    assert all({type(v) for v in values} in ({float}, {bool}) for values in measured.values())
    assert all(text in analyses.describe(name) for text in (name, *analyses.columns(name)))
    assert issubclass(analyses.params_model(name), Config)


def test_an_unknown_analysis_gets_the_nearest_name():
    with pytest.raises(StudyError, match=r"unknown\n.*Did you mean 'repetition'"):
        analyse.Config(analysis="repetitions")


def test_parameters_at_their_default_do_not_change_the_identity():
    assert analyse.Config(analysis="repetition", params={"ngram": 4}) == analyse.Config(analysis="repetition")
    assert analyse.Config(analysis="repetition", params={"ngram": 3}).identity()["params"] == {"ngram": 3}


@pytest.mark.parametrize("name", analyses.names())
def test_the_stage_writes_one_row_per_response(tmp_path, name):
    source, target = tmp_path / "completions", tmp_path / "measures"
    source.mkdir()
    target.mkdir()
    pl.DataFrame(
        {"problem_id": [str(i) for i in range(5)], "sample_index": [0] * 5, "response": TEXTS}
    ).write_parquet(source / "completions.parquet")
    facts = analyse.run(
        Job("k", "analyse", analyse.Config(analysis=name), 0, {"completions": (source,)}, target)
    )
    table = pl.read_parquet(target / "measures.parquet")
    assert table.columns == ["problem_id", "sample_index", *analyses.columns(name)]
    assert set(table.dtypes[2:]) <= {pl.Float64, pl.Boolean}
    assert table.height == facts["n"] == 5
