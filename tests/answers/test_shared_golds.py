"""The cases that went wrong, and every gold of the real benchmarks against itself and against others; where they are present."""

from __future__ import annotations

import json

import pytest

from pipeline.grading import Grader, Rule
from pipeline.stages.source import from_catalogue

BENCHMARKS = ("aime24", "amc23", "math500", "gsm8k", "minerva_math", "olympiadbench", "svamp", "gaokao2023en")

OTHERS = 5

EQUAL_IN_VALUE = {
    "gaokao2023en": {frozenset({"2", "2s"}), frozenset({"5", "5am"})},
}
"""Golds that are written otherwise and mean the same."""

NEVER_RIGHT = {"olympiadbench": "where $b$ is an arbitrary integer"}
"""A part of the gold of which Math-Verify reads something else than it says (a sentence)."""


def test_every_case_that_went_wrong_is_right(shared_data):
    file = shared_data.parent / "cases" / "grader_pairs.jsonl"
    if not file.is_file():
        pytest.skip("no cases here")
    pairs = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
    with Grader(timeout_seconds=10.0, rule=Rule(grader="by_kind")) as grader:
        verdicts = grader.grade([(pair["response"], pair["gold"]) for pair in pairs])
    outcomes = ["wrong" if one.verdict == "unparsable" else one.verdict for one in verdicts]
    assert [p for p, outcome in zip(pairs, outcomes, strict=True) if outcome != p["right"]] == []
    assert len(pairs) == 40


@pytest.mark.slow
@pytest.mark.parametrize("name", BENCHMARKS)
def test_a_gold_agrees_with_itself_and_with_no_other(name, shared_data, run_stage):
    source = from_catalogue("benchmark", name, local=str(shared_data / "benchmarks" / f"{name}.jsonl"))
    rows, _ = run_stage("source", source)
    golds = rows["answer"].to_list()
    distinct = sorted(set(golds))
    step = max(1, len(distinct) // (OTHERS + 1))
    pairs = [
        (gold, distinct[(distinct.index(gold) + step * i) % len(distinct)])
        for gold in distinct
        for i in range(min(OTHERS + 1, len(distinct)))
    ]
    with Grader(timeout_seconds=10.0, rule=Rule(grader="by_kind")) as grader:
        verdicts = grader.grade([(f"\\boxed{{{answer}}}", gold) for gold, answer in pairs])
    own = [v for (gold, answer), v in zip(pairs, verdicts, strict=True) if gold == answer]
    never = [v.gold for v in own if v.verdict not in ("right", "gold_unparsable")]
    assert [
        gold for gold in never if NEVER_RIGHT.get(name, gold) not in gold or name not in NEVER_RIGHT
    ] == []
    right = {
        frozenset((gold, answer))
        for (gold, answer), v in zip(pairs, verdicts, strict=True)
        if v.correct and gold != answer
    }
    asked = {frozenset(pair) for pair in pairs}
    assert right == EQUAL_IN_VALUE.get(name, set()) & asked
