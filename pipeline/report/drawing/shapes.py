"""What a panel shows: points with their intervals, lines of them, and the frame around."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field


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
