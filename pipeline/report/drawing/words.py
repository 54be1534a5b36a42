"""Numbers in words: values with the digits that a reader needs, axes, durations."""

from __future__ import annotations

import math
from collections.abc import Callable

from pipeline.request.logged import UnitKind
from pipeline.request.metrics import AnyMetric


def format_value(value: float, unit: UnitKind, *, signed: bool = False) -> str:
    """A value with the digits that a reader needs: 43.2 %, 1,405, 0.31."""
    sign = "+" if signed else ""
    if not math.isfinite(value):
        return "∞" if value > 0 else "−∞" if value < 0 else "–"
    if unit == "share":
        text = f"{100 * value:{sign}.1f}" + (" pp" if signed else " %")
    elif unit == "tokens":
        text = f"{value:{sign},.0f}" if abs(value) >= 100 else f"{value:{sign}.1f}"
    elif unit == "efficiency":
        text = f"{1000 * value:{sign}.2f}"
    else:
        text = f"{value:{sign}.3g}"
    return text.replace("-", "−")


def words_of(metric: AnyMetric) -> Callable[[float], str]:
    """How a metric's axis writes its values."""

    def words(value: float) -> str:
        if metric.unit == "share":
            return f"{100 * value:.3g} %".replace("-", "−")
        return f"{value:,.10g}" if metric.unit == "tokens" else format_value(value, metric.unit)

    return words


def format_duration(seconds: float) -> str:
    """Seconds as a person says them: 48 s, 12 min, 3.4 h."""
    if seconds < 100:
        return f"{seconds:.3g} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:,.1f} h"
