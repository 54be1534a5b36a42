"""Small figures as inline SVG text: scales, ticks, line panels and interval strips.

Guaranteed: every text is escaped; equal input gives equal text; colours are CSS classes (`s0` … `s7`, `none`),
so that one figure serves the light theme, the dark theme and paper.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from markupsafe import Markup, escape

from pipeline.report.drawing.marks import draw_marks

WIDTH, HEIGHT = 420, 236
TOP, BOTTOM, LEFT = 14, 42, 52
CHARACTER_WIDTH = 6.4
DASHES = ("", "5 3", "1.5 3", "8 3 2 3")


@dataclass(frozen=True)
class Point:
    """One estimate of a line, with its interval and the words that appear on hovering."""

    x: float
    y: float
    low: float | None = None
    high: float | None = None
    words: str = ""
    x_interval: tuple[float, float] | None = None


@dataclass(frozen=True)
class Line:
    """A series: its label at the right end (where it ends at the panel's right edge), its colour class, its dash, its points in order of x.

    Thin lines have no marks and no label; marks are diamonds without a line;
    bare lines have no dots.
    """

    label: str
    colour: str
    points: tuple[Point, ...]
    dash: int = 0
    is_thin: bool = False
    is_marks: bool = False
    is_bare: bool = False


@dataclass(frozen=True)
class PanelFrame:
    """What frames the lines: title, the x axis (names of the integers or of given places, or numbers), y format,
    range and shaded band; bars stand in the place of lines where that is asked."""

    title: str
    y_label: str
    format_y: Callable[[float], str]
    x_names: tuple[str, ...] = ()
    x_label: str = ""
    y_range: tuple[float, float] | None = None
    references: tuple[tuple[float, str], ...] = field(default=())
    x_places: tuple[float, ...] = ()
    band: tuple[float, float] | None = None
    is_bars: bool = False


def nice_ticks(low: float, high: float, count: int = 4) -> list[float]:
    """Round numbers that span [low, high] in about `count` steps of 1, 2, 2.5 or 5 times a power of ten."""
    if not high > low:
        low, high = (low - abs(low) * 0.1, high + abs(high) * 0.1) if low else (0.0, 1.0)
    raw = (high - low) / count
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= raw * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(i * step, 12) for i in range(first, last + 1)]


def find_range(
    lines: Sequence[Line],
    *,
    floor: float | None = None,
    ceiling: float | None = None,
    with_zero: bool = False,
) -> tuple[float, float]:
    """The y values that the lines and their intervals span; from zero where that costs little resolution.

    `with_zero`: always from zero, as columns need it, whose length is their value.
    """
    values = [v for line in lines for p in line.points for v in (p.y, p.low, p.high) if v is not None]
    values = [v for v in values if math.isfinite(v)]
    if not values:
        return 0.0, 1.0
    low, high = min(values), max(values)
    if 0 < low < 0.45 * high:
        low = 0.0
    if with_zero:
        low, high = min(low, 0.0), max(high, 0.0)
    margin = 0.04 * (high - low)
    low = low - margin if low else low
    return (max(low, floor) if floor is not None else low), (
        min(high + margin, ceiling) if ceiling is not None else high + margin
    )


def draw_panel(frame: PanelFrame, lines: Sequence[Line]) -> Markup:
    """One panel: axis, light grid, lines with intervals, labels at their right ends."""
    drawn = sorted((line for line in lines if line.points), key=lambda line: not line.is_thin)
    ticks = nice_ticks(*(frame.y_range or find_range(drawn)))
    labelled = [] if frame.is_bars else _lines_to_the_edge(drawn)
    labels = [_shorten(line.label) for line in labelled]
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

    body = [_draw_y_axis(ticks, at_y, frame.format_y, WIDTH - right)]
    body.append(_draw_x_axis(frame, drawn, at_x, (x_low, x_high), bottom))
    if frame.band is not None:
        body.insert(0, _draw_band(frame.band, at_y, WIDTH - right))
    body += [
        _draw_reference(at_y(y), words, WIDTH - right)
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


def _draw_y_axis(
    ticks: Sequence[float], at_y: Callable[[float], float], words: Callable[[float], str], right: float
) -> Markup:
    part = Markup(
        '<line class="grid" x1="{0}" x2="{1}" y1="{2:.1f}" y2="{2:.1f}"/><text class="tick" x="{3}" y="{4:.1f}" text-anchor="end">{5}</text>'
    )
    return Markup("").join(
        part.format(LEFT, right, at_y(t), LEFT - 6, at_y(t) + 3.5, words(t)) for t in ticks
    )


def _draw_x_axis(
    frame: PanelFrame,
    lines: Sequence[Line],
    at_x: Callable[[float], float],
    span: tuple[float, float],
    bottom: float,
) -> Markup:
    if frame.x_names:
        at = frame.x_places or tuple(range(len(frame.x_names)))
        places = sorted((at_x(x), name) for x, name in zip(at, frame.x_names, strict=True))
    else:
        steps = sorted({p.x for line in lines for p in line.points})
        are_few = len(steps) <= 6 and all(float(x).is_integer() for x in steps)
        inside = steps if are_few else [t for t in nice_ticks(*span) if span[0] <= t <= span[1]]
        places = [(at_x(t), f"{t:,.10g}") for t in inside]
    room = min((b[0] - a[0] for a, b in itertools.pairwise(places)), default=0)
    widest = max((len(name) for _, name in places), default=0) * CHARACTER_WIDTH
    limit = (
        99
        if widest <= room or len(places) < 2
        else max(int(room * (2 if len(places) > 2 else 1) / CHARACTER_WIDTH) - 1, 4)
    )
    parts = []
    for i, (x, name) in enumerate(places):
        drop = 15 if widest <= room or i % 2 == 0 else 28
        parts.append(
            Markup(
                '<text class="tick" x="{:.1f}" y="{:.1f}" text-anchor="middle">{}<title>{}</title></text>'
            ).format(x, bottom + drop, _shorten(name, limit), name)
        )
    if frame.x_label:
        parts.append(
            Markup('<text class="axis" x="{:.1f}" y="{}" text-anchor="middle">{}</text>').format(
                (at_x(span[0]) + at_x(span[1])) / 2,
                bottom + (30 if widest <= room or len(places) < 2 else 40),
                frame.x_label,
            )
        )
    return Markup("").join(parts)


def _draw_reference(y: float, words: str, right: float) -> Markup:
    return Markup(
        '<line class="reference" x1="{}" x2="{}" y1="{:.1f}" y2="{:.1f}"><title>{}</title></line>'
    ).format(LEFT, right, y, y, words)


def _draw_band(band: tuple[float, float], at_y: Callable[[float], float], right: float) -> Markup:
    top, bottom = at_y(band[1]), at_y(band[0])
    return Markup('<rect class="band" x="{}" y="{:.1f}" width="{:.1f}" height="{:.1f}"/>').format(
        LEFT, top, right - LEFT, max(bottom - top, 0)
    )


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
        part.format(line.colour, at_x(line.points[-1].x) + 15, y + 3.5, _shorten(line.label), line.label)
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


def _shorten(text: str, limit: int = 16) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"


def draw_strip(
    *,
    centre: float,
    interval: tuple[float, float],
    decisive: tuple[float, float],
    threshold: float,
    upper: float | None = None,
    claims_larger: bool,
    span: tuple[float, float],
    status: str,
    words: str,
) -> Markup:
    """One row of a forest plot in percentages of its width: claimed side, threshold, two intervals, estimate."""

    def at(value: float) -> float:
        return min(max(100 * (value - span[0]) / ((span[1] - span[0]) or 1), 0.0), 100.0)

    edge, end = at(threshold), at(threshold if upper is None else upper)
    claimed = (edge, 100 - edge) if claims_larger else (0.0, edge)
    if upper is not None:
        claimed = (edge, end - edge)
    row = '<line class="{0}" x1="{1:.2f}%" x2="{2:.2f}%" y1="15" y2="15"/>'
    return Markup(
        '<svg class="strip {}" role="img" aria-label="{}" height="30"><title>{}</title>'
        '<rect class="claimed" x="{:.2f}%" width="{:.2f}%" y="0" height="30"/>'
        '<line class="threshold" x1="{:.2f}%" x2="{:.2f}%" y1="0" y2="30"/>'
        '<line class="threshold" x1="{:.2f}%" x2="{:.2f}%" y1="0" y2="30"/>'
        + row.format("decisive", at(decisive[0]), at(decisive[1]))
        + row.format("interval", at(interval[0]), at(interval[1]))
        + (f'<circle cx="{at(centre):.2f}%" cy="15" r="5"/>' if math.isfinite(centre) else "")
        + "</svg>"
    ).format(status, words, words, *claimed, edge, edge, end, end)


__all__ = [
    "Line",
    "PanelFrame",
    "Point",
    "draw_panel",
    "draw_strip",
    "escape",
    "find_range",
    "nice_ticks",
]
