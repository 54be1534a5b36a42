"""Traces in the form of OpenR1-Math-220k, and chains between think tags: what the flags say is what the texts are."""

from __future__ import annotations

import re

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline import filters
from pipeline.analyses._thinking import find_thinking
from pipeline.filters import FilterContext
from pipeline.generators import chains, traces

SEEDS = st.integers(0, 2**32)
LISTS = ("generations", "correctness_math_verify", "correctness_llama", "is_reasoning_complete")


def rows_of(module, rows, seed, **params):
    return list(module.generate(module.Params(**params), rows, seed))


def each_trace(rows):
    """(row, text, Math-Verify's flag, the judge's flag, complete) of all traces."""
    return [(row, *trace) for row in rows for trace in zip(*(row[name] for name in LISTS), strict=True)]


@given(SEEDS, st.integers(1, 3), st.integers(0, 3), st.floats(0, 0.5), st.floats(0, 0.5), st.floats(0, 1))
@settings(max_examples=40, deadline=None)
def test_flags_say_what_the_traces_are(seed, fewest, more, wrong, cut, missed):
    rows = rows_of(
        traces, 8, seed, min_traces=fewest, max_traces=fewest + more, wrong=wrong, cut=cut, missed=missed,
        max_rechecks=3,
    )  # fmt: skip
    assert all(fewest <= len(row["generations"]) <= fewest + more for row in rows)
    for row, text, verified, judged, complete in each_trace(rows):
        boxed = re.findall(r"\\boxed\{(-?\d+)\}$", text)
        assert complete == bool(boxed)
        assert judged == (boxed == [row["answer"]])
        assert judged or not verified


@pytest.mark.parametrize(
    ("shares", "expected"),
    [
        ({"wrong": 0, "cut": 0, "missed": 0}, {(True, True, True)}),
        ({"wrong": 0, "cut": 0, "missed": 1}, {(False, True, True)}),
        ({"wrong": 1, "cut": 0}, {(False, False, True)}),
        ({"wrong": 0, "cut": 1}, {(False, False, False)}),
    ],
)
def test_shares_of_nothing_and_of_everything_are_kept(shares, expected):
    assert {tuple(trace[2:]) for trace in each_trace(rows_of(traces, 30, 0, **shares))} == expected


def test_shares_in_between_are_about_what_was_asked_for():
    found = each_trace(rows_of(traces, 1_000, 1, wrong=0.3, cut=0.2, missed=0.1))
    cut = sum(not trace[4] for trace in found) / len(found)
    wrong = sum(trace[4] and not trace[3] for trace in found) / len(found)
    right = [trace for trace in found if trace[3]]
    missed = sum(not trace[2] for trace in right) / len(right)
    assert (cut, wrong, missed) == pytest.approx((0.2, 0.3, 0.1), abs=0.04)


def test_the_right_traces_of_a_problem_differ_in_their_second_looks():
    rows = rows_of(traces, 50, 2, min_traces=4, wrong=0, cut=0, rechecks=0, max_rechecks=5)
    assert sum(len(set(row["generations"])) > 1 for row in rows) > 40


def test_a_problems_traces_do_not_depend_on_which_problems_came_before():
    one, other = rows_of(traces, 600, 3, max_steps=2), rows_of(traces, 600, 4, max_steps=2)
    known = {row["id"]: row for row in one}
    common = [row for row in other if row["id"] in known]
    assert len(common) > 50 and all(known[row["id"]] == row for row in common)


def test_traces_are_about_the_problems_of_chains():
    pairs = zip(rows_of(traces, 40, 5, split="test"), rows_of(chains, 40, 5, split="test"), strict=True)
    for row, chain in pairs:
        assert (row["problem"], row["answer"]) == (chain["problem"], chain["answer"])
        assert row["id"].partition("-")[2] == chain["id"].partition("-")[2]


@pytest.mark.parametrize("shares", [{"min_traces": 3, "max_traces": 2}, {"wrong": 0.6, "cut": 0.5}])
def test_impossible_traces_are_refused(shares):
    with pytest.raises(ValueError, match=r"above|together at most 1"):
        traces.Params(**shares)


@pytest.mark.parametrize("flag", ["either", "math_verify", "llama"])
def test_one_correct_trace_finds_a_right_one_in_every_problem_that_has_one(flag):
    rows = rows_of(traces, 200, 6, missed=0.5)
    params = filters.validate("one_correct_trace", {"verified_by": flag})
    verdicts = filters.get("one_correct_trace").judge(pl.LazyFrame(rows), params, FilterContext())
    column = "correctness_math_verify" if flag == "math_verify" else "correctness_llama"
    chosen = verdicts.select("reason", "trace_index")
    for row, (reason, index) in zip(rows, chosen.iter_rows(), strict=True):
        assert (reason is None) == any(row[column])
        assert index is None or row["generations"][index].endswith(f"\\boxed{{{row['answer']}}}")


@given(SEEDS, st.integers(0, 3))
@settings(max_examples=20, deadline=None)
def test_think_puts_all_but_the_answer_between_tags(seed, rechecks):
    plain = rows_of(chains, 4, seed, style="long", rechecks=rechecks)
    tagged = rows_of(chains, 4, seed, style="long", rechecks=rechecks, think=True)
    for bare, row in zip(plain, tagged, strict=True):
        assert {**row, "solution": ""} == {**bare, "solution": ""}
        thinking, last = find_thinking(row["solution"]).strip(), f"The answer is \\boxed{{{row['answer']}}}"
        assert row["solution"] == f"<think>\n{thinking}\n</think>\n{last}"
        assert f"{thinking}\n{last}" == bare["solution"]


def test_think_leaves_short_solutions_alone():
    assert rows_of(chains, 20, 0, think=True) == rows_of(chains, 20, 0)
