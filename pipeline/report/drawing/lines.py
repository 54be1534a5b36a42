"""Which lines a figure has: how cells become facets, colours and dashes, the same on the whole page."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from markupsafe import Markup

from pipeline.report.drawing.axes import find_range
from pipeline.report.drawing.shapes import Line
from pipeline.request.page import Request

MOST_LINES = 8
COLOURS = 8
SQUEEZED = 0.2
"""Share of a panel's height that our own lines keep; a mark further away is named at the panel's edge."""

NEUTRAL = ("none", "base", "original")

Levels = Mapping[str, str]


@dataclass(frozen=True)
class LegendEntry:
    """A colour or a dash with the level that it stands for."""

    label: str
    colour: str
    dash: int = 0


@dataclass(frozen=True)
class Figure:
    """A titled group of panels with its legend; `more` holds panels that are folded away."""

    title: str
    caption: str
    panels: tuple[tuple[str, Markup], ...]
    legend: tuple[LegendEntry, ...] = ()
    more: tuple[tuple[str, tuple[tuple[str, Markup], ...]], ...] = field(default=())


@dataclass(frozen=True)
class Encoding:
    """What shows which factor: panels, colours and dashes; the rest does not vary."""

    facets: tuple[str, ...]
    colour: str | None
    dashes: tuple[str, ...]
    request: Request

    @classmethod
    def choose(cls, keys: Sequence[Levels], request: Request) -> Encoding:
        """Facet until a panel has at most eight lines; colour the factor with the most levels that remains."""
        varying = {f: len({k[f] for k in keys if f in k}) for f in request.factors}
        free = [f for f, count in varying.items() if count > 1]
        facets: list[str] = []
        while free and _most_lines(keys, facets) > MOST_LINES:
            facets.append(min(free, key=lambda f: (_most_lines(keys, [*facets, f]), varying[f])))
            free.remove(facets[-1])
        colour = max(free, key=lambda f: varying[f], default=None)
        return cls(tuple(facets), colour, tuple(f for f in free if f != colour), request)

    def facet_of(self, key: Levels) -> str:
        return " · ".join(key.get(f, "–") for f in self.facets)

    def label_of(self, key: Levels) -> str:
        """The words at the line's end: the level of its colour if it is solid, of its dash if not."""
        names = self.dashes if self.dash_of(key) else (self.colour,) if self.colour else ()
        return " · ".join(key[f] if key[f] not in NEUTRAL else f"{f}: {key[f]}" for f in names if f in key)

    def colour_of(self, key: Levels) -> str:
        if self.colour is None:
            return "s0"
        return colour_class(self.request, self.colour, key.get(self.colour, ""))

    def dash_of(self, key: Levels) -> int:
        levels = [
            self.request.factors[f].index(key[f])
            for f in self.dashes
            if key.get(f) in self.request.factors[f]
        ]
        return sum(levels) % 4

    def legend(self, keys: Iterable[Levels]) -> tuple[LegendEntry, ...]:
        entries: dict[LegendEntry, None] = {}
        seen = list(keys)
        if self.colour is not None:
            for level in self.request.factors[self.colour]:
                if any(key.get(self.colour) == level for key in seen):
                    colour = colour_class(self.request, self.colour, level)
                    entries[LegendEntry(f"{self.colour}: {level}", colour)] = None
        for factor in self.dashes:
            for i, level in enumerate(self.request.factors[factor]):
                if any(key.get(factor) == level for key in seen):
                    entries[LegendEntry(f"{factor}: {level}", "ink", i % 4)] = None
        return tuple(entries)


def colour_class(request: Request, factor: str, level: str) -> str:
    """The colour of a level, the same in every figure; levels that mean "nothing done" are grey."""
    if level in NEUTRAL:
        return "neutral"
    place = 0
    for name, levels in request.factors.items():
        for other in levels:
            if other in NEUTRAL:
                continue
            if (name, other) == (factor, level):
                return f"s{place % COLOURS}"
            place += 1
    return "s0"


def _most_lines(keys: Sequence[Levels], facets: Sequence[str]) -> int:
    counts: dict[tuple[str, ...], set[tuple[tuple[str, str], ...]]] = {}
    for key in keys:
        counts.setdefault(tuple(key.get(f, "") for f in facets), set()).add(tuple(sorted(key.items())))
    return max((len(lines) for lines in counts.values()), default=0)


def leave_far_marks(lines: Sequence[Line]) -> list[Line]:
    """The lines that decide a panel's range: without marks that would squeeze the others into a fifth of it."""
    own = [line for line in lines if not line.is_marks]
    if not own:
        return list(lines)
    low, high = find_range(own)
    kept = []
    for line in lines:
        wide = find_range([*own, line])
        if not line.is_marks or high - low >= SQUEEZED * (wide[1] - wide[0]):
            kept.append(line)
    return kept
