"""Text analyses: golden values, columns, and the stage that writes them."""

from __future__ import annotations

import time

import polars as pl
import pytest

from pipeline import analyses
from pipeline.analyses.operations import count_operations
from pipeline.analyses.reflection_keywords import KEYWORDS
from pipeline.errors import InputError, StudyError
from pipeline.fingerprint import Config
from pipeline.stages import analyse
from pipeline.store.job import Job

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


def test_reflection_is_keywords_and_judge_and_null_only_where_the_judges_word_is_missing():
    responses = ["Let me recheck."] * 3 + ["Done."] * 3
    measured = analyses.measure("reflection", responses, verdicts=[True, False, None] * 2)
    assert measured["reflects"] == [True, False, None, False, False, False]
    assert measured["keyword"] == [True] * 3 + [False] * 3
    assert measured["judged"] == [True, False, None] * 2


def test_think_counts_blocks_with_or_without_their_opening_tag():
    texts = ["<think>a b</think> c d", "a b</think> c", "<think>a b c", "</think> c", "a"]
    measured = analyses.measure("think", texts, count_tokens=count_words)
    assert measured["has_think_block"] == [True, True, False, False, False]
    assert measured["has_open_tag"] == [True, False, True, False, False]
    assert measured["has_close_tag"] == [True, True, False, True, False]
    assert measured["cot_tokens"] == [2, 2, 0, 0, 0]
    assert measured["cot_token_share"] == [2 / 4, 2 / 3, 0, 0, 0]


def count_words(texts):
    return [len(text.split()) for text in texts]


def needed_by(name):
    """What an analysis asks for beside the responses."""
    verdicts = {"verdicts": [True, False, None, None, True]} if analyses.needs_judge(name) else {}
    return verdicts | ({"count_tokens": count_words} if analyses.needs_tokenizer(name) else {})


@pytest.mark.parametrize("name", analyses.names())
def test_every_analysis_keeps_its_word(name):
    measured = analyses.measure(name, TEXTS, **needed_by(name))
    assert tuple(measured) == analyses.columns(name)
    assert all(len(values) == len(TEXTS) for values in measured.values())
    assert all({type(v) for v in values} - {type(None)} in ({float}, {bool}) for values in measured.values())
    assert all(text in analyses.describe(name) for text in (name, *analyses.columns(name)))
    assert issubclass(analyses.params_model(name), Config)


def test_an_unknown_analysis_gets_the_nearest_name():
    with pytest.raises(StudyError, match=r"unknown\n.*Did you mean 'repetition'"):
        analyse.Config(analysis="repetitions")


def test_parameters_at_their_default_do_not_change_the_identity():
    assert analyse.Config(analysis="repetition", params={"ngram": 4}) == analyse.Config(analysis="repetition")
    assert analyse.Config(analysis="repetition", params={"ngram": 3}).identity()["params"] == {"ngram": 3}


@pytest.fixture(scope="module")
def policy(tmp_path_factory):
    """A policy folder with a tokenizer and nothing else that an analysis reads."""
    from pipeline.engines.tiny import build_tokenizer

    folder = tmp_path_factory.mktemp("policy")
    build_tokenizer().save_pretrained(folder / "model")
    return folder


def analyse_job(folder, name, policy, verdicts=None):
    """The job of one analysis over TEXTS, with the verdicts of `needed_by` unless others are given."""
    ids = {"problem_id": [str(i) for i in range(5)], "sample_index": [0] * 5}
    for part in ("completions", "verdicts", "measures"):
        (folder / part).mkdir()
    pl.DataFrame({**ids, "response": TEXTS}).write_parquet(folder / "completions" / "completions.parquet")
    inputs = {"completions": (folder / "completions",)}
    if analyses.needs_judge(name):
        table = pl.DataFrame({**ids, "is_positive": needed_by(name)["verdicts"]})
        (table.sort("problem_id", descending=True) if verdicts is None else verdicts(table)).write_parquet(
            folder / "verdicts" / "verdicts.parquet"
        )
        inputs["verdicts"] = (folder / "verdicts",)
    if analyses.needs_tokenizer(name):
        inputs["policy"] = (policy,)
    return Job("k", "analyse", analyse.Config(analysis=name), 0, inputs, folder / "measures")


@pytest.mark.parametrize("name", analyses.names())
def test_the_stage_writes_one_row_per_response(tmp_path, name, policy):
    job = analyse_job(tmp_path, name, policy)
    facts = analyse.run(job)
    table = pl.read_parquet(job.folder / "measures.parquet")
    assert table.columns == ["problem_id", "sample_index", *analyses.columns(name)]
    assert set(table.dtypes[2:]) <= {pl.Float64, pl.Boolean}
    assert table.height == facts["n"] == 5
    if name == "reflection":
        assert table["judged"].to_list() == needed_by(name)["verdicts"], "joined by id, not by order"
        assert table["reflects"].to_list() == [False, False, False, None, False]
    if name == "think":
        assert table["cot_tokens"].to_list() == [0, 0, 7, 0, 0], "bytes of '2+3 = 5'"


@pytest.mark.parametrize("wrong", [lambda t: t.head(4), lambda t: pl.concat([t, t.head(1)])])
def test_verdicts_of_other_completions_are_refused(tmp_path, wrong, policy):
    job = analyse_job(tmp_path, "reflection", policy, wrong)
    with pytest.raises(InputError, match=r"not one verdict for problem"):
        analyse.run(job)


def test_a_ratio_without_a_readable_verdict_is_unknown_and_not_zero(tmp_path, policy):
    job = analyse_job(
        tmp_path, "reflection", policy, lambda t: t.with_columns(is_positive=pl.lit(None, dtype=pl.Boolean))
    )
    facts = analyse.run(job)
    assert facts["mean_judged"] is None and facts["mean_keyword"] == 0.2
