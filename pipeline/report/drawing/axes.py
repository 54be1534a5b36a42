"""The axes of a panel: round ticks, the range of the values, grid, names of levels, reference lines, shaded bands."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence

from markupsafe import Markup

from pipeline.report.drawing.shapes import Line, PanelFrame

LEFT = 52
CHARACTER_WIDTH = 6.4


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


def draw_y_axis(
    ticks: Sequence[float], at_y: Callable[[float], float], words: Callable[[float], str], right: float
) -> Markup:
    """The grid with the words of its values."""
    part = Markup(
        '<line class="grid" x1="{0}" x2="{1}" y1="{2:.1f}" y2="{2:.1f}"/><text class="tick" x="{3}" y="{4:.1f}" text-anchor="end">{5}</text>'
    )
    return Markup("").join(
        part.format(LEFT, right, at_y(t), LEFT - 6, at_y(t) + 3.5, words(t)) for t in ticks
    )


def draw_x_axis(
    frame: PanelFrame,
    lines: Sequence[Line],
    at_x: Callable[[float], float],
    span: tuple[float, float],
    bottom: float,
) -> Markup:
    """Names of levels or numbers below the panel, apart and cut so that none touch, and what they are."""
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
            ).format(x, bottom + drop, shorten(name, limit), name)
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


def draw_reference(y: float, words: str, right: float) -> Markup:
    """A dashed line across the panel at a height."""
    return Markup(
        '<line class="reference" x1="{}" x2="{}" y1="{:.1f}" y2="{:.1f}"><title>{}</title></line>'
    ).format(LEFT, right, y, y, words)


def draw_band(band: tuple[float, float], at_y: Callable[[float], float], right: float) -> Markup:
    """A shaded range of values."""
    top, bottom = at_y(band[1]), at_y(band[0])
    return Markup('<rect class="band" x="{}" y="{:.1f}" width="{:.1f}" height="{:.1f}"/>').format(
        LEFT, top, right - LEFT, max(bottom - top, 0)
    )


def shorten(text: str, limit: int = 16) -> str:
    """A text cut to so many characters."""
    return text if len(text) <= limit else text[: limit - 1] + "…"
