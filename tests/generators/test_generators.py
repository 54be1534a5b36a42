"""Generators: determinism, uniqueness, splits, and that every problem has the answer it claims."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline import generators
from pipeline.errors import InputError, StudyError
from pipeline.generators import arithmetic, chains, dialogues, traces

SEEDS = st.integers(0, 2**32)
REFLECTION = re.compile(r"recheck|verify again|go over the steps")


def rows_of(module, rows, seed, **params):
    return list(module.generate(module.Params(**params), rows, seed))


def test_every_generator_is_found_by_name():
    known = ("arithmetic", "chains", "dialogues", "judge_questions", "pools", "traces")
    assert generators.names() == known
    assert generators.get("chains") is chains


def test_an_unknown_generator_names_the_nearest():
    with pytest.raises(StudyError, match="arithmetic"):
        generators.get("aritmetic")


@pytest.mark.parametrize(
    ("expression", "value", "operations"),
    [
        ("93/3+77+(12-32)-11+61*78+44*39+55", 6606, 10),
        ("(14*21*38+32+23+31+3)-11+59+71+60", 11440, 10),
    ],
)
def test_the_published_instances_have_their_published_values(expression, value, operations):
    found, steps = arithmetic.evaluate(expression)
    assert (found, len(steps)) == (value, operations)


@pytest.mark.parametrize("text", ["", "1+", "(1+2", "1 + 2", "7/2", "1/0", "1++2", "a"])
def test_what_is_no_integer_expression_is_refused(text):
    with pytest.raises(InputError):
        arithmetic.evaluate(text)


@given(SEEDS)
@settings(max_examples=60, deadline=None)
def test_arithmetic_rows_hold_what_the_paper_says(seed):
    for row in rows_of(arithmetic, 5, seed):
        assert row["problem"].startswith(arithmetic.STEM)
        expression = row["problem"].removeprefix(arithmetic.STEM)
        assert re.fullmatch(r"[0-9+\-*/()]+", expression)
        operands = [int(number) for number in re.findall(r"\d+", expression)]
        assert all(1 <= operand <= 100 for operand in operands)
        assert 5 <= len(operands) - 1 <= 15
        value, steps = arithmetic.evaluate(expression)  # refuses results that are no integers
        assert str(value) == row["answer"]
        assert len(steps) == len(operands) - 1
        assert row["solution"].endswith(f"\\boxed{{{row['answer']}}}")


def test_arithmetic_uses_all_four_operators_and_parentheses():
    text = "".join(row["problem"].removeprefix(arithmetic.STEM) for row in rows_of(arithmetic, 100, 0))
    assert all(sign in text for sign in "+-*/(")


@given(SEEDS, st.integers(1, 5), st.integers(0, 3), st.booleans(), st.booleans())
@settings(max_examples=60, deadline=None)
def test_chain_answers_and_every_line_of_both_styles_are_right(seed, steps, rechecks, check_steps, negatives):
    common = {"min_steps": steps, "max_steps": steps + 1, "negatives": negatives}
    short = rows_of(chains, 4, seed, **common)
    long = rows_of(chains, 4, seed, style="long", rechecks=rechecks, check_steps=check_steps, **common)
    for brief, full in zip(short, long, strict=True):
        assert (brief["id"], brief["problem"], brief["answer"]) == (
            full["id"],
            full["problem"],
            full["answer"],
        )
        expression = brief["problem"].removeprefix("What is ").removesuffix("?")
        assert arithmetic.evaluate(expression)[0] == int(brief["answer"])
        for row in (brief, full):
            assert row["solution"].endswith(f"\\boxed{{{row['answer']}}}")
            claims = re.findall(r"(-?\d+)([+-])(\d+)=(-?\d+)", row["solution"])
            assert all(int(a) + (int(b) if sign == "+" else -int(b)) == int(c) for a, sign, b, c in claims)
            assert negatives or all(int(c) >= 0 for *_, c in claims)
        assert not REFLECTION.search(brief["solution"])
        assert REFLECTION.search(full["solution"]) or not (rechecks or check_steps)


def test_the_number_of_rechecks_varies_between_its_bounds():
    rows = rows_of(chains, 200, 0, style="long", rechecks=0, max_rechecks=3, check_steps=False)
    passes = {len(re.findall("verify again|go over the steps", row["solution"])) for row in rows}
    assert passes == {0, 1, 2, 3}


@pytest.mark.parametrize("module", [arithmetic, chains, dialogues])
def test_the_same_arguments_give_the_same_unique_rows(module):
    rows = rows_of(module, 300, 7)
    assert rows == rows_of(module, 300, 7)
    assert rows != rows_of(module, 300, 8)
    assert len({row["problem"] for row in rows}) == len({row["id"] for row in rows}) == 300


@pytest.mark.parametrize("module", [arithmetic, chains])
def test_train_and_test_splits_have_no_problem_in_common(module):
    train = {row["id"] for row in rows_of(module, 500, 1, split="train")}
    test = {row["id"] for row in rows_of(module, 50, 2, split="test")}
    assert not train & test


def turns_of(row):
    """Everything said in a row of `dialogues`: the question, the first answer, requests and turns by turn."""
    question, *said = row["problem"].split(dialogues.ANSWERED)
    turns = [turn.split(dialogues.ASKED) for turn in said]
    return question, [turn for turn, _ in turns] + [row["solution"]], [request for _, request in turns]


def box_of(text):
    return re.findall(r"\\boxed\{(-?\d+)\}", text)[-1]


@given(SEEDS, st.integers(1, 4), st.sampled_from([0.0, 0.5, 1.0]))
@settings(max_examples=60, deadline=None)
def test_dialogues_end_right_whatever_the_first_answer_was(seed, steps, wrong):
    for row in rows_of(dialogues, 6, seed, min_steps=steps, max_steps=steps, wrong=wrong):
        question, said, _ = turns_of(row)
        values = chains.follow(*chains.read_problem(question))
        assert row["answer"] == str(values[-1])
        first, assessment, *later = said
        assert (box_of(first) == row["answer"]) or wrong > 0
        assert (box_of(first) != row["answer"]) or wrong < 1
        assert all(box_of(text) == row["answer"] for text in later)
        assert "boxed" not in assessment


@given(SEEDS)
@settings(max_examples=60, deadline=None)
def test_an_assessment_stops_at_the_first_wrong_step_and_names_it(seed):
    for row in rows_of(dialogues, 6, seed):
        question, (first, assessment, *_), _ = turns_of(row)
        start, steps = chains.read_problem(question)
        values = chains.follow(start, steps)
        said = [int(line.rpartition("=")[2]) for line in first.splitlines()[:-1]]
        slips = [i for i, value in enumerate(said) if value != values[i + 1]]
        *checked, last = assessment.splitlines()
        assert all(line.endswith(", which is right.") for line in checked)
        if not slips:
            assert len(checked) + 1 == len(steps) and last.endswith(", which is right.")
            continue
        operator, number = steps[slips[0]]
        assert len(checked) == slips[0]
        assert last == f"Wait, let me recheck: {values[slips[0]]}{operator}{number}={values[slips[0] + 1]}"


def test_the_three_turns_are_about_equally_frequent_and_the_requests_are_the_studys():
    asked = {"assess": "Look.", "revise": "Again.", "summarise": "So?"}
    requests = [turns_of(row)[2] for row in rows_of(dialogues, 300, 0, **asked)]
    assert all(found == ["Look.", "Again.", "So?"][: len(found)] for found in requests)
    lengths = [len(found) for found in requests]
    assert all(75 < lengths.count(length) < 125 for length in (1, 2, 3))


@pytest.mark.parametrize("split", ["train", "test"])
def test_dialogues_keep_to_the_questions_of_their_split(split):
    questions = [turns_of(row)[0] for row in rows_of(dialogues, 60, 3, split=split)]
    assert {generators.split_of(question) for question in questions} == {split}


def test_the_marks_between_turns_are_those_of_the_tiny_models_chat_template():
    from jinja2 import Template

    from pipeline.engines.tiny import CHAT_TEMPLATE

    messages = [("user", "What is 1+2?"), ("assistant", "1+2=3"), ("user", "Check it.")]
    chat = [{"role": role, "content": content} for role, content in messages]
    written = f"<|user|>What is 1+2?{dialogues.ANSWERED}1+2=3{dialogues.ASKED}Check it.<|end|>"
    assert Template(CHAT_TEMPLATE).render(messages=chat) == written


def test_questions_have_no_number_above_the_largest():
    text = "".join(row["problem"] for row in rows_of(chains, 200, 0, largest=4))
    assert set(re.findall(r"\d", text)) == set("1234")


@pytest.mark.parametrize("module", [chains, traces])
def test_an_instruction_stands_after_the_question_and_changes_neither_numbers_nor_split(module):
    bare = rows_of(module, 100, 3, split="test")
    told = rows_of(module, 100, 3, split="test", instruction=" Be brief.")
    assert [row["problem"] + " Be brief." for row in bare] == [row["problem"] for row in told]
    assert all(a | {"id": b["id"], "problem": b["problem"]} == b for a, b in zip(bare, told, strict=True))
    assert not {row["id"] for row in bare} & {row["id"] for row in told}


def test_more_rows_than_problems_are_refused():
    with pytest.raises(InputError, match="without repeating"):
        rows_of(chains, 200, 0, min_steps=1, max_steps=1)


def test_a_range_upside_down_is_refused():
    with pytest.raises(ValueError, match="above"):
        chains.Params(min_steps=3, max_steps=2)
    with pytest.raises(ValueError, match="above"):
        dialogues.Params(min_steps=3, max_steps=2)


def test_the_catalogue_imports_nothing_heavy():
    code = "import sys, pipeline.generators as g; [g.get(n) for n in g.names()]; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert not {"torch", "polars", "numpy", "transformers"} & set(loaded)
