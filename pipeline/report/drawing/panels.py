"""Small figures as inline SVG text: panels of lines or bars with their axes.

Guaranteed: every text is escaped; equal input gives equal text; colours are CSS classes (`s0` … `s7`, `none`),
so that one figure serves the light theme, the dark theme and paper.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from markupsafe import Markup

from pipeline.report.drawing.axes import (
    CHARACTER_WIDTH,
    LEFT,
    draw_band,
    draw_reference,
    draw_x_axis,
    draw_y_axis,
    find_range,
    nice_ticks,
    shorten,
)
from pipeline.report.drawing.marks import draw_marks
from pipeline.report.drawing.shapes import Line, PanelFrame

WIDTH, HEIGHT = 420, 236
TOP, BOTTOM = 14, 42
DASHES = ("", "5 3", "1.5 3", "8 3 2 3")


def draw_panel(frame: PanelFrame, lines: Sequence[Line]) -> Markup:
    """One panel: axis, light grid, lines with intervals, labels at their right ends."""
    drawn = sorted((line for line in lines if line.points), key=lambda line: not line.is_thin)
    ticks = nice_ticks(*(frame.y_range or find_range(drawn)))
    labelled = [] if frame.is_bars else _lines_to_the_edge(drawn)
    labels = [shorten(line.label) for line in labelled]
    right = 18 + CHARACTER_WIDTH * max((len(label) for label in labels), default=0)
    bottom = HEIGHT - BOTTOM
    xs = [x for line in drawn for p in line.points for x in (p.x, *(p.x_interval or ()))]
    xs = [x for x in xs if math.isfinite(x)]
    x_low, x_high = min(xs, default=0), max(xs, default=1)
    if frame.x_names:
        ends = frame.x_places or (0, len(frame.x_names) - 1)
        margin = 0.5 if frame.is_bars else 0.3
        x_low, x_high = min(ends) - margin, max(ends) + margin

    def at_x(x: float) -> float:
        return LEFT + 4 + (x - x_low) / ((x_high - x_low) or 1) * (WIDTH - LEFT - 8 - right)

    def at_y(y: float) -> float:
        y = min(max(y, ticks[0]), ticks[-1])  # an endless interval ends at the panel's edge
        return bottom - (y - ticks[0]) / ((ticks[-1] - ticks[0]) or 1) * (bottom - TOP)

    body = [draw_y_axis(ticks, at_y, frame.format_y, WIDTH - right)]
    body.append(draw_x_axis(frame, drawn, at_x, (x_low, x_high), bottom))
    if frame.band is not None:
        body.insert(0, draw_band(frame.band, at_y, WIDTH - right))
    body += [
        draw_reference(at_y(y), words, WIDTH - right)
        for y, words in frame.references
        if ticks[0] <= y <= ticks[-1]
    ]
    solid = [line for line in drawn if not line.is_marks]
    if frame.is_bars:
        body += [_draw_bars(line, i, len(solid), at_x, at_y, bottom) for i, line in enumerate(solid)]
    else:
        body += [
            _draw_line(line, at_x, at_y, _dodge(i, len(solid), bool(frame.x_names)))
            for i, line in enumerate(solid)
        ]
    body += [
        draw_marks(line, at_x, at_y, (ticks[0], ticks[-1]), frame.format_y) for line in drawn if line.is_marks
    ]
    body.append(_draw_end_labels(labelled, at_x, at_y, bottom))
    return Markup(
        '<svg class="panel" viewBox="0 0 {w} {h}" role="img" aria-label="{label}">{body}</svg>'
    ).format(w=WIDTH, h=HEIGHT, label=f"{frame.title}: {frame.y_label}", body=Markup("").join(body))


def _lines_to_the_edge(lines: Sequence[Line]) -> list[Line]:
    """The labelled lines that end where the last one does: a label inside the panel would lie on other lines."""
    named = [line for line in lines if line.label and not line.is_thin]
    last = max((line.points[-1].x for line in named), default=0.0)
    return [line for line in named if line.points[-1].x == last]


def _dodge(index: int, count: int, is_categorical: bool) -> float:
    return 0.0 if not is_categorical or count < 2 else (index - (count - 1) / 2) * min(5.0, 24 / count)


def _draw_bars(
    line: Line,
    index: int,
    count: int,
    at_x: Callable[[float], float],
    at_y: Callable[[float], float],
    bottom: float,
) -> Markup:
    """Bars of one series beside those of the others, each with its interval."""
    width = min(0.8 * (at_x(1) - at_x(0)) / count, 34.0)
    parts = [Markup('<g class="{}">').format(line.colour)]
    kind = "column hollow" if line.dash else "column"  # a line's dash is a column's outline
    dash = Markup(' stroke-dasharray="{}"').format(DASHES[line.dash % 4]) if line.dash else ""
    for p in line.points:
        x = at_x(p.x) + (index - (count - 1) / 2) * width
        y, foot = at_y(p.y), min(at_y(0.0), bottom)
        parts.append(
            Markup(
                '<rect class="{}" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}"{}><title>{}</title></rect>'
            ).format(kind, x - width / 2 + 1, min(y, foot), width - 2, abs(foot - y), dash, p.words)
        )
        if p.low is not None and p.high is not None:
            parts.append(
                Markup('<line class="whisker" x1="{0:.1f}" x2="{0:.1f}" y1="{1:.1f}" y2="{2:.1f}"/>').format(
                    x, at_y(p.low), at_y(p.high)
                )
            )
    return Markup("").join([*parts, Markup("</g>")])


def _draw_line(
    line: Line, at_x: Callable[[float], float], at_y: Callable[[float], float], shift: float
) -> Markup:
    places = [(at_x(p.x) + shift, at_y(p.y), p) for p in line.points]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y, _ in places)
    kind = "thin" if line.is_thin else "thick"
    parts = [
        Markup('<g class="{}"><polyline class="{}" points="{}"{}/>').format(
            line.colour,
            kind,
            path,
            Markup(' stroke-dasharray="{}"').format(DASHES[line.dash % 4]) if line.dash else "",
        )
    ]
    for x, y, p in places if not (line.is_thin or line.is_bare) else []:
        if p.low is not None and p.high is not None:
            parts.append(
                Markup('<line class="bar" x1="{0:.1f}" x2="{0:.1f}" y1="{1:.1f}" y2="{2:.1f}"/>').format(
                    x, at_y(p.low), at_y(p.high)
                )
            )
        if p.x_interval is not None:
            ends = [min(max(at_x(x), LEFT), WIDTH - 18) for x in p.x_interval]
            parts.append(
                Markup('<line class="bar" x1="{0:.1f}" x2="{1:.1f}" y1="{2:.1f}" y2="{2:.1f}"/>').format(
                    *ends, y
                )
            )
        parts.append(
            Markup('<circle cx="{:.1f}" cy="{:.1f}" r="3.4"><title>{}</title></circle>').format(x, y, p.words)
        )
    return Markup("").join([*parts, Markup("</g>")])


def _draw_end_labels(
    lines: Sequence[Line], at_x: Callable[[float], float], at_y: Callable[[float], float], bottom: float
) -> Markup:
    """Labels right of the lines' last points, moved apart where they would touch."""
    ends = sorted(((at_y(line.points[-1].y), line) for line in lines), key=lambda end: end[0])
    part = Markup('<text class="label {}" x="{:.1f}" y="{:.1f}">{}<title>{}</title></text>')
    return Markup("").join(
        part.format(line.colour, at_x(line.points[-1].x) + 15, y + 3.5, shorten(line.label), line.label)
        for y, (_, line) in zip(_spread([y for y, _ in ends], bottom), ends, strict=True)
    )


def _spread(wanted: Sequence[float], bottom: float, gap: float = 12) -> list[float]:
    """Sorted heights moved apart to `gap`, none below `bottom` where room is left above."""
    heights: list[float] = []
    for y in wanted:
        heights.append(max(y, heights[-1] + gap) if heights else y)
    limit = bottom
    for i in reversed(range(len(heights))):
        heights[i] = min(heights[i], limit)
        limit = heights[i] - gap
    return heights
