"""One row of a forest plot as inline SVG text: an estimate with its intervals against what is claimed."""

from __future__ import annotations

import math

from markupsafe import Markup


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
