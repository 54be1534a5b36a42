"""The paper's numbers in a panel: diamonds, and beyond the end of the axis arrows that say the value."""

from __future__ import annotations

from collections.abc import Callable

from markupsafe import Markup

from pipeline.report.drawing.shapes import Line


def draw_marks(
    line: Line,
    at_x: Callable[[float], float],
    at_y: Callable[[float], float],
    span: tuple[float, float],
    words: Callable[[float], str],
) -> Markup:
    """Diamonds; what lies beyond the axis is an arrow at its end, with the value in words."""
    near = Markup('<path class="mark {}" d="M{:.1f} {:.1f}l5 5l-5 5l-5 -5z"><title>{}</title></path>')
    far = Markup(
        '<g class="{0}"><path class="mark" d="M{1:.1f} {2:.1f}l5 {3}h-10z"><title>{5}</title></path>'
        '<text class="label" x="{1:.1f}" y="{4:.1f}" text-anchor="middle">{6}</text></g>'
    )
    parts = []
    for p in line.points:
        x, edge = at_x(p.x), min(max(p.y, span[0]), span[1])
        if edge == p.y:
            parts.append(near.format(line.colour, x, at_y(p.y) - 5, p.words))
        else:
            down = 8 if p.y > edge else -8
            parts.append(
                far.format(line.colour, x, at_y(edge), down, at_y(edge) + 2.4 * down, p.words, words(p.y))
            )
    return Markup("").join(parts)
