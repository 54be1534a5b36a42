"""Generators of raw pools and of judges' questions: what a filter or a judge finds in them is what they declare."""

from __future__ import annotations

import re
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline import generators, judges
from pipeline.generators import chains, judge_questions, pools
from pipeline.grading import find_box

SEEDS = st.integers(0, 2**32)
WHOLE = re.compile(r"What is \d([+-]\d)+\?")


def rows_of(module, rows, seed=0, **params):
    return list(module.generate(module.Params(**params), rows, seed))


def kind_of(problem: str) -> str:
    """What a reader takes a pool's question for."""
    if WHOLE.fullmatch(problem):
        return "clean"
    return "multi_part" if problem.startswith("(a) ") else "noisy"


@pytest.mark.parametrize("module", [pools, judge_questions])
def test_the_same_arguments_give_the_same_unique_rows(module):
    rows = rows_of(module, 200, 7)
    assert rows == rows_of(module, 200, 7) and rows != rows_of(module, 200, 8)
    assert len({row["problem"] for row in rows}) == len({row["id"] for row in rows}) == 200


@given(SEEDS)
@settings(max_examples=20, deadline=None)
def test_what_a_question_is_can_be_told_from_its_text(seed):
    for row in rows_of(pools, 30, seed, noisy=0.3, multi_part=0.3):
        kind, parts = kind_of(row["problem"]), WHOLE.findall(row["problem"])
        assert len(parts) == {"clean": 1, "multi_part": 2, "noisy": 0}[kind]
        if kind == "clean":
            start, steps = chains.read_problem(row["problem"])
            assert row["answer"] == str(chains.follow(start, steps)[-1])
        if kind == "multi_part":
            assert re.fullmatch(rf"\(a\) {WHOLE.pattern} \(b\) {WHOLE.pattern}", row["problem"])
        if kind == "noisy":
            assert row["problem"][-1] in "+-" or ("_" in row["problem"] and row["problem"].endswith(" ..."))


def test_a_pool_holds_each_kind_in_its_share():
    rows = rows_of(pools, 1_000, max_steps=6, noisy=0.2, multi_part=0.3, unboxed=0.25)
    kinds = Counter(kind_of(row["problem"]) for row in rows)
    assert kinds["noisy"] == pytest.approx(200, abs=50) and kinds["multi_part"] == pytest.approx(300, abs=50)
    boxed = [row for row in rows if find_box(row["solution"]) == row["answer"]]
    assert len(boxed) == pytest.approx(750, abs=50)
    assert not any("\\boxed" in row["solution"] for row in rows if row not in boxed)


def test_a_pool_without_what_is_to_be_filtered_is_chains():
    rows = rows_of(pools, 50, 3, noisy=0, multi_part=0, unboxed=0)
    plain = {row["problem"]: row for row in rows_of(chains, 2_000, 3)}
    shared = [row for row in rows if row["problem"] in plain]
    assert len(shared) > 10
    assert all(row["solution"] == plain[row["problem"]]["solution"] for row in shared)


def test_no_text_and_no_whole_question_of_a_pool_is_in_both_splits():
    found = {}
    for split, rows in (("train", 600), ("test", 120)):
        texts = [row["problem"] for row in rows_of(pools, rows, 1, noisy=0.3, multi_part=0.3, split=split)]
        assert {kind_of(text) for text in texts} == {"clean", "noisy", "multi_part"}
        parts = {match[0] for text in texts for match in WHOLE.finditer(text)}
        assert {generators.split_of(text) for text in (*texts, *parts)} == {split}
        found[split] = {*texts, *parts}
    assert not found["train"] & found["test"]


@pytest.mark.parametrize(
    ("params", "message"),
    [({"noisy": 0.6, "multi_part": 0.5}, "more than all"), ({"min_steps": 3, "max_steps": 2}, "above")],
)
def test_a_pool_that_cannot_be_is_refused(params, message):
    with pytest.raises(ValueError, match=message):
        pools.Params(**params)


@pytest.mark.parametrize("judge", judge_questions.REPLIES)
def test_every_reply_is_read_as_its_label_and_all_labels_occur(judge):
    rows = rows_of(judge_questions, 200, judge=judge)
    assert all(judges.read(judge, row["solution"]) == row["answer"] for row in rows)
    counts = Counter(row["answer"] for row in rows)
    assert set(counts) == set(judges.get(judge).LABELS)
    assert min(counts.values()) > 200 / len(counts) / 2


def test_every_question_is_the_judges_own_about_a_text_of_its_label():
    for row in rows_of(judge_questions, 100):
        question = row["problem"].rpartition("\nQuestion: ")[2]
        (message,) = judges.ask("clean_question", {"problem": question})
        assert row["problem"] == message["content"] and row["answer"] == kind_of(question)


def test_what_reflects_says_so_and_nothing_else_does():
    for row in rows_of(judge_questions, 200, judge="reflection"):
        response = row["problem"].rpartition("\nResponse: ")[2]
        assert (row["answer"] == "reflective") == bool(re.search("verify again|once more|recheck", response))
        assert (row["answer"] == "code_only") == response.startswith("print(")


@pytest.mark.parametrize("judge", judge_questions.REPLIES)
def test_judges_are_taught_on_questions_of_one_split(judge):
    train = {row["problem"] for row in rows_of(judge_questions, 200, judge=judge, split="train")}
    test = {row["problem"] for row in rows_of(judge_questions, 40, judge=judge, split="test")}
    assert not train & test


def test_a_judge_without_texts_is_refused_with_those_that_have_some():
    with pytest.raises(ValueError, match=r"no texts for judge 'clean'(.|\n)*clean_question"):
        judge_questions.Params(judge="clean")


def test_the_fixed_lines_of_a_question_are_few_tokens():
    tokenizer = pytest.importorskip("pipeline.engines.tiny").build_tokenizer("questions")
    (row,) = rows_of(judge_questions, 1)
    whole = tokenizer(row["problem"])["input_ids"]
    assert tokenizer.decode(whole) == row["problem"] and len(whole) < len(row["problem"]) / 8
