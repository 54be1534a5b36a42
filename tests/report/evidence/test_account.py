"""The account of a study: what the records of its data sets count."""

from __future__ import annotations

from pathlib import Path

from pipeline.report.build import build
from pipeline.report.evidence.account import trace_data
from pipeline.report.evidence.results import Store
from pipeline.request.request import DataNode, Request
from tests.support.synthetic import put_record


def make_request(root: Path) -> Request:
    rounds = [
        {"round": 1, "tried": 1_200, "solved": 900, "draws": 1_200, "correct": 900},
        {"round": 2, "tried": 300, "solved": 50, "draws": 3_000, "correct": 80},
    ]
    put_record(root, "solve", "solved", facts={"rows_in": 1_200, "rows_out": 950, "rounds": rounds})
    classes = {
        "classes_before": {"RR": 40, "RW": 3, "WR": 12, "WW": 9},
        "classes_after": {"RR": 12, "WR": 12},
    }
    put_record(root, "synthesise", "told", facts={"rows_in": 64, "rows_out": 24, **classes})
    nodes = (
        DataNode(name="solve rejected", stage="solve", key="solved"),
        DataNode(name="synthesise dialogues", stage="synthesise", key="told"),
        DataNode(name="solve uniform", stage="solve", key="later"),
    )
    return Request(study="s", title="S", question="", factors={"model": ("m",)}, units=(), datasets=nodes)


def test_rounds_and_classes_of_what_a_model_made_are_told(tmp_path: Path) -> None:
    solved, told, later = trace_data(make_request(tmp_path), Store(tmp_path))
    assert solved.notes == (
        "round 1: 900 of 1,200 problems solved in 1,200 draws",
        "round 2: 50 of 300 problems solved in 3,000 draws",
    )
    assert told.notes == (
        "dialogues by first and final answer (R right, W wrong), all → chosen: "
        "RR 40 → 12, RW 3 → 0, WR 12 → 12, WW 9 → 0",
    )
    assert later.notes == ()


def test_they_stand_on_the_page(tmp_path: Path) -> None:
    page = build(make_request(tmp_path), tmp_path, tmp_path / "report" / "r").page.read_text()
    assert "round 2: 50 of 300 problems solved" in page and "WW 9 → 0" in page


def test_answers_grades_and_a_judges_labels_count_as_what_they_are(tmp_path: Path) -> None:
    put_record(tmp_path, "sample", "tries", facts={"responses": 1_380})
    put_record(tmp_path, "score", "graded", facts={"n": 1_380, "right": 810, "wrong": 560, "unparsable": 10})
    labels = {"noisy": 8, "clean": 42}
    put_record(tmp_path, "judge", "judged", facts={"n": 51, "labels": labels, "unreadable": 1})
    nodes = tuple(
        DataNode(name=f"{stage} pool", stage=stage, key=key)
        for stage, key in (("sample", "tries"), ("score", "graded"), ("judge", "judged"))
    )
    request = Request(study="s", title="S", question="", factors={"model": ("m",)}, units=(), datasets=nodes)
    page = build(request, tmp_path, tmp_path / "report" / "r").page.read_text()
    assert "1,380 responses<" in page and "1,380 responses graded<" in page and "51 rows judged<" in page
    assert "810 right, 10 without a readable answer" in page
    assert "clean 42, noisy 8, unreadable 1" in page
    assert "not done" not in page
