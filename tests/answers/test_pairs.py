"""The corpus of graded pairs: each kind of answer, right and wrong, through the grader that everything uses."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from pipeline.grading import Grader, Rule

PAIRS = [json.loads(line) for line in (Path(__file__).parent / "pairs.jsonl").read_text("utf-8").splitlines()]
KINDS = sorted({pair["kind"] for pair in PAIRS})


@pytest.fixture(scope="module")
def grader():
    with Grader(timeout_seconds=10.0, rule=Rule(grader="by_kind")) as one:
        yield one


def grade(grader, pairs):
    """The outcome of each pair; an answer that cannot be read is wrong."""
    verdicts = grader.grade([(pair["response"], pair["gold"]) for pair in pairs])
    return ["wrong" if verdict.verdict == "unparsable" else verdict.verdict for verdict in verdicts]


@pytest.mark.parametrize("kind", KINDS)
def test_answers_of_each_kind_get_their_verdict(kind, grader):
    pairs = [pair for pair in PAIRS if pair["kind"] == kind]
    outcomes = grade(grader, pairs)
    assert [
        (p["gold"], p["response"], o) for p, o in zip(pairs, outcomes, strict=True) if o != p["right"]
    ] == []


def test_the_corpus_has_both_verdicts_of_every_kind():
    counts = Counter((pair["kind"], pair["right"]) for pair in PAIRS)
    assert len(PAIRS) >= 600
    assert len({(pair["gold"], pair["response"]) for pair in PAIRS}) >= 0.99 * len(PAIRS)
    for kind in set(KINDS) - {"no_gold"}:
        assert counts[kind, "right"] > 0 and counts[kind, "wrong"] > 0
    assert counts["no_gold", "gold_unparsable"] > 20


def test_the_answer_found_is_reported(grader):
    verdicts = grader.grade([("The answer is **88**.", "88"), ("Hence \\boxed{3 1/2}", "3.5"), ("so 7", "7")])
    assert [verdict.extracted for verdict in verdicts] == ["88", "3 1/2", "7"]
