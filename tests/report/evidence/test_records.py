"""Counts in the records of data sets as shares: of rows, of problems, of what several filters dropped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import InputError
from pipeline.report.evidence.record_sides import make_fact_side
from pipeline.report.evidence.results import Store
from pipeline.request.quantities import Fact
from pipeline.verdicts.paired import Side, estimate_mean
from tests.support.synthetic import put_record

SYNTHESISED = {"rows_in": 40, "rows_out": 24, "problems_in": 10, "problems_out": 8}
"""Four responses to each of ten problems; eight problems have a right one."""


def side_of(root: Path, fact: str, facts: dict[str, Any]) -> Side:
    put_record(root, "synthesise", "made", facts=facts)
    return make_fact_side(Fact(name="rejected", key="made", fact=fact), Store(root))


def test_problems_are_a_share_of_the_problems_that_came_in(tmp_path):
    side = side_of(tmp_path, "problems_out", SYNTHESISED)
    assert estimate_mean(side).value == pytest.approx(8 / 10) and estimate_mean(side).n_problems == 10
    assert side.scope == "problems like those of rejected" and side.bounded and not side.trained


def test_rows_are_a_share_of_the_rows_that_came_in(tmp_path):
    side = side_of(tmp_path, "rows_out", SYNTHESISED)
    assert estimate_mean(side).value == pytest.approx(24 / 40) and side.scope == "rows like those of rejected"


def test_rows_of_several_inputs_are_counted_together(tmp_path):
    side = side_of(tmp_path, "rows_out", {"rows_in": [30, 10], "rows_out": 20})
    assert estimate_mean(side).value == pytest.approx(0.5)


def test_what_the_filters_of_one_artifact_dropped_for_one_reason_is_summed(tmp_path):
    filters = [{"dropped": {"duplicate": 3, "too long": 1}}, {"dropped": {"duplicate": 2}}, {"dropped": None}]
    side = side_of(tmp_path, "dropped.duplicate", {"rows_in": 20, "rows_out": 14, "filters": filters})
    assert estimate_mean(side).value == pytest.approx(5 / 20)


@pytest.mark.parametrize(
    ("fact", "facts"),
    [
        ("problems_out", {"rows_in": 40, "rows_out": 24, "problems_out": 8}),
        ("problems_out", {"problems_in": 10, "problems_out": 11}),
        ("problems_solved", SYNTHESISED),
        ("rows_kept", SYNTHESISED),
        ("rows_out", {"rows_in": 0, "rows_out": 0}),
    ],
)
def test_a_count_without_its_total_is_refused_with_the_counts_that_there_are(tmp_path, fact, facts):
    with pytest.raises(InputError, match=f"no count '{fact}'") as caught:
        side_of(tmp_path, fact, facts)
    assert "rows_out" in caught.value.remedy or "problems_in" in caught.value.remedy
