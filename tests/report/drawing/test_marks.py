"""The paper's numbers beside our lines, and where a figure over steps ends."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from pipeline.report.build import build
from pipeline.report.drawing.lines import leave_far_marks
from pipeline.report.drawing.svg import Line, PanelFrame, Point, draw_panel, find_range
from tests.support.studies import BASIC, compile_text
from tests.support.synthetic import put_log, put_record

OURS = Line("", "s0", (Point(0, 20, 18, 22), Point(1, 50, 45, 55)))


def mark(value: float, x: float = 1.0) -> Line:
    return Line("", "s0", (Point(x, value, words=f"the paper's {value:g}"),), is_marks=True)


def drawn(*marks: Line) -> str:
    lines = [OURS, *marks]
    frame = PanelFrame("t", "y", "{:,.0f}".format, ("a", "b"), y_range=find_range(leave_far_marks(lines)))
    return str(draw_panel(frame, lines))


def test_a_number_near_ours_widens_the_axis() -> None:
    assert leave_far_marks([OURS, mark(120)]) == [OURS, mark(120)]
    text = drawn(mark(120))
    assert "the paper&#39;s 120" in text and ">120</text>" not in text.replace('class="tick"', "")
    assert ">150</text>" in text  # a tick beyond our own


def test_a_number_far_from_ours_is_said_at_the_edge_and_leaves_the_axis_to_ours() -> None:
    text = drawn(mark(3600), mark(600, 0.0))
    assert ">3,600</text>" in text and ">600</text>" in text and text.count("the paper&#39;s") == 2
    assert max(int(tick) for tick in re.findall(r'class="tick"[^>]*>(\d+)</text>', text)) == 60


def test_a_number_far_below_points_down() -> None:
    up, down = drawn(mark(3600)), drawn(mark(-3600))
    assert "l5 8h-10z" in up and "l5 -8h-10z" in down and ">-3,600</text>" in down


def test_marks_alone_decide_their_range() -> None:
    assert leave_far_marks([mark(1), mark(1000)]) == [mark(1), mark(1000)]


@pytest.fixture
def page(tmp_path: Path) -> str:
    text = BASIC.replace("replicates: 2", "replicates: 1")
    text += "figures:\n  steps: {x: step, y: accuracy, lines: rl, where: {rl: [acc, plp]}}\n"
    request = compile_text(text, tmp_path).studies[0].request()
    root = tmp_path / "results"
    for seed, unit in enumerate(request.units):
        right = np.random.default_rng(seed).random(32) < 0.5
        keys = {"problem_id": [f"p{i // 2:02}" for i in range(32)], "sample_index": [0, 1] * 16}
        scores = {
            "correct": right,
            "verdict": "right",
            "extracted": "4",
            "gold": "4",
            "n_tokens": 9,
            "finish_reason": "stop",
        }
        texts = {"finish_reason": "stop", "problem": "2+2", "answer": "4", "response": "4"}
        for stage, key, name, columns in (
            ("sample", unit.completions, "completions.parquet", texts),
            ("score", unit.scores, "scores.parquet", scores),
        ):  # fmt: skip
            (root / stage / key).mkdir(parents=True, exist_ok=True)
            pl.DataFrame({**keys, **columns}).write_parquet(root / stage / key / name)
            put_record(root, stage, key)
    for run in request.runs:
        put_log(root, run, seed=0, steps=4)
        put_record(root, run.stage, run.key, config={"steps": 4} if run.stage == "rl" else {})
    return build(request, root, tmp_path / "out").page.read_text()


def test_a_figure_over_steps_ends_with_the_end_of_training(page: str) -> None:
    panel = page.split("<h3>steps</h3>")[1].split('<svg class="panel"')[1].split("</svg>")[0]
    assert re.findall(r'class="tick"[^>]*middle">(\d+)<', panel) == ["2", "4"]
    assert panel.count("<circle") == 2  # `acc` at its checkpoint and at its end; `plp` has no checkpoint


def test_columns_stand_on_zero_and_lines_need_not() -> None:
    values = [Line("", "s0", (Point(0, 15.0), Point(1, 19.0)))]
    assert find_range(values)[0] > 14
    assert find_range(values, with_zero=True)[0] == 0.0
    below = [Line("", "s0", (Point(0, -4.0), Point(1, -3.0)))]
    assert find_range(below, with_zero=True)[1] >= 0.0
