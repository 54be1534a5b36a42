"""Training curves: what each stage logged by step, one line per cell and thin lines per replicate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl
from markupsafe import Markup

from pipeline.report.drawing.axes import find_range
from pipeline.report.drawing.lines import Encoding, Figure
from pipeline.report.drawing.panels import draw_panel
from pipeline.report.drawing.shapes import Line, PanelFrame, Point
from pipeline.report.evidence.record_sides import find_column
from pipeline.report.evidence.results import Store
from pipeline.report.evidence.sides import CellKey
from pipeline.request.figures import FigureRequest
from pipeline.request.logged import LOGGED
from pipeline.request.metrics import Logged
from pipeline.request.page import Request
from pipeline.request.units import Run
from pipeline.stages import load_training

MOST_POINTS = 120
PANELS = {"rl": ("reward", "accuracy_reward", "tokens", "truncated", "kl"), "sft": ("loss", "token_accuracy")}
"""Stage → the logged quantities that its figure shows, of those that its runs have."""


def draw_training_figures(request: Request, store: Store) -> list[Figure]:
    """One figure per training stage that has a finished run with a log; reinforcement learning first."""
    stages = sorted({run.stage for run in _logged(request.runs)}, key=lambda s: (s != "rl", s))
    return [figure for stage in stages if (figure := _draw_stage(stage, request, store)) is not None]


def _logged(runs: Sequence[Run]) -> list[Run]:
    """The trainings whose stage keeps a log."""
    return [run for run in runs if load_training(run.stage).logs]


def _draw_stage(stage: str, request: Request, store: Store) -> Figure | None:
    runs = _merge_cells([run for run in request.runs if run.stage == stage])
    logs = {run.key: log for run in runs if (log := store.find_table(run.key, "log.parquet")) is not None}
    if not logs:
        return None
    keys = [dict(run.cell) for run in runs if run.key in logs]
    encoding = Encoding.choose(keys, request)
    panels: list[tuple[str, Markup]] = []
    for column in PANELS.get(stage, tuple(LOGGED)):
        panels += _draw_column(column, LOGGED[column].title, runs, logs, encoding)
    if not panels:
        return None
    words = {"rl": "Reinforcement learning", "sft": "Fine-tuning"}.get(stage, stage)
    caption = f"As logged while training ({stage}); thick: mean over replicates, thin: each replicate."
    return Figure(words, caption, tuple(panels), encoding.legend(keys))


def draw_declared_curves(figure: FigureRequest, request: Request, store: Store) -> Figure:
    """A declared figure of logged columns by step: a line per declared level, panels per level or column."""
    runs = [
        run
        for run in _logged(request.runs)
        if all(run.cell.get(f) in levels for f, levels in figure.where.items())
    ]
    last = {(tuple(run.cell.items()), run.replicate): run.key for run in runs}
    merged = {run.key: run for run in _merge_cells([run for run in runs if run.key in last.values()])}
    logs = {key: log for key in merged if (log := store.find_table(key, "log.parquet")) is not None}
    facets = (figure.panels,) if figure.panels is not None and figure.panels in request.factors else ()
    encoding = Encoding(facets, figure.lines[0] if figure.lines else None, figure.lines[1:], request)
    panels: list[tuple[str, Markup]] = []
    for metric in figure.y:
        if isinstance(metric, Logged):
            title = metric.column.replace("_", " ")
            panels += _draw_column(metric.column, title, list(merged.values()), logs, encoding)
    keys = [dict(merged[key].cell) for key in logs]
    caption = f"{figure.caption} As logged; thick: mean over replicates, thin: each replicate.".strip()
    caption += "" if panels else " Nothing of it is measured yet."
    return Figure(figure.title, caption, tuple(panels), encoding.legend(keys))


def _merge_cells(runs: Sequence[Run]) -> list[Run]:
    """Each run once, with only the levels that all cells sharing it have in common."""
    cells: dict[str, list[Run]] = {}
    for run in runs:
        cells.setdefault(run.key, []).append(run)
    merged = []
    for key, same in cells.items():
        common = {f: lv for f, lv in same[0].cell.items() if all(r.cell.get(f) == lv for r in same)}
        merged.append(Run(cell=common, replicate=same[0].replicate, stage=same[0].stage, key=key))
    return merged


def _draw_column(
    column: str, title: str, runs: Sequence[Run], logs: Mapping[str, pl.DataFrame], encoding: Encoding
) -> list[tuple[str, Markup]]:
    """A panel (or several, by the encoding) of a logged quantity, under the first name that any log has for it."""
    names = sorted({name for log in logs.values() if (name := find_column(log, column)) is not None})
    if not names:
        return []
    groups: dict[CellKey, list[list[tuple[float, float]]]] = {}
    for run in runs:
        if run.key in logs:
            curve = thin_curve(logs[run.key].filter(pl.col("metric") == names[0]).sort("step"))
            if curve:
                groups.setdefault(tuple(run.cell.items()), []).append(curve)
    facets: dict[str, list[Line]] = {}
    for key, curves in groups.items():
        levels = dict(key)
        colour, dash = encoding.colour_of(levels), encoding.dash_of(levels)
        lines = facets.setdefault(encoding.facet_of(levels), [])
        if len(curves) > 1:
            lines += [Line("", colour, _points(curve), dash, is_thin=True) for curve in curves]
        lines.append(
            Line(encoding.label_of(levels), colour, _points(average_curves(curves)), dash, is_bare=True)
        )
    panels = []
    for name, lines in facets.items():
        full = " · ".join(filter(None, (title, name)))
        is_share = LOGGED[column].is_share and all(point.y <= 1 for line in lines for point in line.points)
        frame = PanelFrame(
            full,
            title,
            lambda v: f"{v:,.6g}".replace("-", "−"),
            x_label="step",
            y_range=find_range(lines, ceiling=1.0 if is_share else None),
        )
        panels.append((full, draw_panel(frame, lines)))
    return panels


def thin_curve(rows: pl.DataFrame) -> list[tuple[float, float]]:
    """At most 120 (step, value) pairs: means over equal runs of neighbouring steps; not-a-numbers left out."""
    rows = rows.filter(pl.col("value").is_finite())
    steps, values = rows["step"].to_numpy().astype(float), rows["value"].to_numpy()
    parts = min(len(steps), MOST_POINTS)
    return (
        [
            (float(s.mean()), float(v.mean()))
            for s, v in zip(np.array_split(steps, parts), np.array_split(values, parts), strict=True)
        ]
        if parts
        else []
    )


def average_curves(curves: Sequence[Sequence[tuple[float, float]]]) -> list[tuple[float, float]]:
    """The mean over replicates at the steps of the longest curve, over those that reach so far."""
    longest = max(curves, key=len)
    result = []
    for step, _ in longest:
        values = [
            np.interp(step, [at for at, _ in curve], [value for _, value in curve])
            for curve in curves
            if curve[0][0] <= step <= curve[-1][0]
        ]
        result.append((step, float(np.mean(values))))
    return result


def _points(curve: Sequence[tuple[float, float]]) -> tuple[Point, ...]:
    return tuple(Point(step, value, words=f"step {step:g}: {value:.4g}") for step, value in curve)
