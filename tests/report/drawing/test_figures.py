"""Scales, lines and layout of the figures."""

from __future__ import annotations

import math
import re
import subprocess
import sys
from dataclasses import replace

import polars as pl
import pytest

from pipeline.report.drawing.lines import MOST_LINES, Encoding, colour_class
from pipeline.report.drawing.svg import Line, PanelFrame, Point, draw_panel, draw_strip, nice_ticks
from pipeline.report.drawing.training import average_curves, thin_curve
from tests.support.synthetic import make_valley


@pytest.mark.parametrize(("low", "high"), [(0, 1), (0.12, 0.47), (-3, 8), (5, 5), (1e-9, 3e-9), (0, 16384)])
def test_ticks_are_round_and_span_the_values(low, high):
    ticks = nice_ticks(low, high)
    assert ticks[0] <= low and ticks[-1] >= high and 2 <= len(ticks) <= 8


def test_nothing_but_zeros_stand_on_an_axis_from_zero():
    assert nice_ticks(0, 0)[0] == 0


def test_labels_in_a_figure_are_escaped_and_shortened():
    line = Line("<b>bold</b> and far too long to stand", "s0", (Point(0, 1.0), Point(1, 2.0)))
    text = draw_panel(PanelFrame("<t>", "y", str, ("<x>", "y")), [line])
    assert "<b>" not in text and "<x>" not in text and "&lt;b&gt;" in text and "…" in text


def test_a_panel_of_one_value_is_drawn():
    assert "circle" in draw_panel(PanelFrame("t", "y", str), [Line("a", "s0", (Point(3, 0.0),))])


def test_an_endless_interval_crosses_the_panel():
    """No bar at all would look like certainty."""
    points = (Point(0, 1.0, 0.5, 1.5), Point(1, 1.2, -math.inf, math.inf, x_interval=(-math.inf, 2.0)))
    frame = PanelFrame("t", "y", str, (), "x", (0.0, 2.0))
    for kind in (frame, replace(frame, is_bars=True)):
        drawn = draw_panel(kind, (Line("a", "s0", points),))
        assert "inf" not in drawn and "nan" not in drawn
        assert 'y1="194.0" y2="14.0"' in drawn


def test_a_strip_without_an_estimate_has_no_dot():
    strip = draw_strip(
        centre=math.nan, interval=(-math.inf, math.inf), decisive=(-math.inf, math.inf), threshold=0.0,
        claims_larger=True, span=(-1.0, 1.0), status="undecided", words="",
    )  # fmt: skip
    assert "nan" not in strip and "circle" not in strip


def test_only_lines_that_reach_the_right_edge_are_named_there():
    lines = [
        Line("short", "s0", (Point(0, 1), Point(5, 1))),
        Line("long", "s1", (Point(0, 2), Point(9, 2))),
        Line("also long", "s2", (Point(0, 2), Point(9, 2))),
    ]
    panel = str(draw_panel(PanelFrame("t", "y", str), lines))
    named = re.findall(r'class="label \w+" x="([\d.]+)" y="([\d.]+)">([^<]+)', panel)
    assert sorted(name for _, _, name in named) == ["also long", "long"]
    (first, second) = (float(y) for _, y, _ in named)
    assert len({x for x, _, _ in named}) == 1 and abs(first - second) >= 12


def test_many_cells_are_split_into_panels_of_few_lines(tmp_path):
    request = make_valley(
        tmp_path, models=tuple(f"m{i}" for i in range(9)), is_done=lambda unit: False, replicates=1
    )
    keys = [dict(u.cell) for u in request.units]
    encoding = Encoding.choose(keys, request)
    lines: dict[str, set[tuple[str, ...]]] = {}
    for key in keys:
        lines.setdefault(encoding.facet_of(key), set()).add(tuple(key.values()))
    assert max(len(group) for group in lines.values()) <= MOST_LINES


def test_a_level_has_one_colour_and_doing_nothing_is_grey(tmp_path):
    request = make_valley(tmp_path, is_done=lambda unit: False)
    assert colour_class(request, "rl", "none") == "neutral"
    colours = [
        colour_class(request, f, lv) for f, levels in request.factors.items() for lv in levels if lv != "none"
    ]
    assert len(set(colours)) == len(colours)


def test_curves_are_thinned_without_losing_their_mean():
    rows = pl.DataFrame({"step": list(range(1000)), "value": [float(i % 7) for i in range(1000)]})
    curve = thin_curve(rows)
    assert len(curve) == 120
    assert sum(v for _, v in curve) / 120 == pytest.approx(3.0, abs=0.05)
    assert thin_curve(rows.clear()) == []


def test_a_mean_curve_uses_the_replicates_that_reach_so_far():
    assert average_curves([[(0, 0.0), (1, 2.0), (2, 4.0)], [(0, 2.0), (1, 4.0)]]) == [
        (0, 1.0),
        (1, 3.0),
        (2, 4.0),
    ]


def test_describing_a_report_imports_nothing_heavy():
    code = "import sys, pipeline.stages.report, pipeline.request.request; print(*{'numpy', 'polars', 'jinja2', 'scipy', 'torch'} & set(sys.modules))"
    assert (
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        ).stdout.strip()
        == ""
    )
