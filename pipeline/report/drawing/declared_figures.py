"""The figures that a study declares, drawn from its summaries; what is not measured is left out."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from pipeline.report.drawing.axes import find_range
from pipeline.report.drawing.declared_tables import find_number, pick_groups
from pipeline.report.drawing.figures import describe_summary, match_published
from pipeline.report.drawing.lines import COLOURS, Encoding, Figure, LegendEntry, leave_far_marks
from pipeline.report.drawing.panels import draw_panel
from pipeline.report.drawing.shapes import Line, PanelFrame, Point
from pipeline.report.drawing.training import draw_declared_curves
from pipeline.report.drawing.words import format_value, words_of
from pipeline.report.evidence.results import Store
from pipeline.report.evidence.sides import CellKey, Group
from pipeline.report.evidence.summaries import Summaries
from pipeline.request.figures import JOINED, MEASURE, STEP, FigureRequest
from pipeline.request.metrics import Logged, OfResponses

FAMILY = "family"


def draw_declared(figure: FigureRequest, summaries: Summaries, store: Store) -> Figure:
    """One declared figure; without panels where nothing of it is measured."""
    if isinstance(figure.y[0], Logged):
        return draw_declared_curves(figure, summaries.request, store)
    return _Drawing(figure, summaries, store).draw()


def find_ends(summaries: Summaries, store: Store) -> dict[CellKey, int]:
    """The last update of every cell that has checkpoints, from the records of its last training."""
    ends: dict[CellKey, int] = {}
    cells = {cell for cell, step in summaries.groups if step is not None}
    for run in summaries.request.runs:
        record, cell = store.find(run.key), tuple(run.cell.items())
        if cell in cells and record is not None and isinstance(record.config.get("steps"), int):
            ends[cell] = record.config["steps"]
    return ends


class _Drawing:
    def __init__(self, figure: FigureRequest, summaries: Summaries, store: Store) -> None:
        self.figure = figure
        self.summaries = summaries
        self.request = summaries.request
        self.metrics = [summaries.shown(metric) for metric in figure.y if isinstance(metric, OfResponses)]
        self.x_metric = summaries.shown(figure.x) if isinstance(figure.x, OfResponses) else None
        self.x_factor = figure.x if isinstance(figure.x, str) and figure.x != STEP else ""
        groups = summaries.groups if figure.x == STEP else summaries.final_groups()
        self.ends = find_ends(summaries, store) if figure.x == STEP else {}
        self.groups = [g for g in pick_groups(figure.where, groups) if figure.x != STEP or self._step(g)]
        if figure.families:
            self.groups = [g for g in self.groups if self._family(g)]
        self.encoding = Encoding(
            (), figure.lines[0] if figure.lines else None, figure.lines[1:], self.request
        )
        self.levels = tuple(
            level
            for level in self.request.factors.get(self.x_factor, ())
            if any(dict(g[0]).get(self.x_factor) == level for g in self.groups)
        )

    def _step(self, group: Group) -> int | None:
        """Where a figure over steps has a cell: at its checkpoint, or at the last update of its training."""
        return self.ends.get(group[0]) if group[1] is None else group[1]

    def _family(self, group: Group) -> str:
        """The first family that a cell belongs to, "" without one."""
        found = (name for name, where in self.figure.families.items() if pick_groups(where, [group]))
        return next(found, "")

    def draw(self) -> Figure:
        panels = []
        for panel in self._panel_names():
            lines = [
                line for metric_index in range(len(self.metrics)) for line in self._lines(panel, metric_index)
            ]
            if any(line.points for line in lines):
                several = len(self.metrics) > 1 and not panel
                title = self._measure(panel) if several else panel or self.metrics[0].label
                panels.append((title, self._draw_panel(panel, lines)))
        keys = [dict(g[0]) for g in self.groups]
        legend = list(self.encoding.legend(keys)) if self.figure.lines else []
        legend += [LegendEntry(name, f"s{i % COLOURS}") for i, name in enumerate(self.figure.families)]
        if len(self.metrics) > 1:
            legend += [
                LegendEntry(m.label, "ink", i) if self.figure.lines else LegendEntry(m.label, f"s{i}")
                for i, m in enumerate(self.metrics)
            ]
        if self.figure.published and any(
            self._marks(p, m) for p in self._panel_names() for m in self.metrics
        ):
            legend.append(LegendEntry("the paper's number", "diamond"))
        if self.figure.baseline is not None:
            legend.append(LegendEntry(" · ".join(self.figure.baseline.values()), "neutral", 1))
        if self.figure.bands:
            legend.append(LegendEntry("shaded: declared range", "ink"))
        caption = f"{self.figure.caption} Bars are 95 % intervals.".strip()
        caption += "" if panels else " Nothing of it is measured yet."
        return Figure(self.figure.title, caption, tuple(panels), tuple(legend))

    def _panel_names(self) -> tuple[str, ...]:
        by = self.figure.panels
        if by == MEASURE:
            return self.figure.measures or self.summaries.measures
        if by is None:
            return ("",)
        return tuple(lv for lv in self.request.factors[by] if any(dict(g[0])[by] == lv for g in self.groups))

    def _measure(self, panel: str) -> str:
        if self.figure.panels == MEASURE:
            return panel
        return JOINED.join(self.figure.measures) or self.summaries.measures_and_mean[0]

    def _in_panel(self, panel: str) -> list[Group]:
        by = self.figure.panels
        return [g for g in self.groups if by in (None, MEASURE) or dict(g[0])[by] == panel]

    def _lines(self, panel: str, index: int) -> list[Line]:
        metric, measure = self.metrics[index], self._measure(panel)
        found: dict[CellKey, list[Point]] = {}
        for group in self._in_panel(panel):
            levels = dict(group[0])
            summary = self.summaries.get(group, measure, metric)
            x = self._x(group, measure)
            if summary is not None and x is not None:
                key = tuple((f, levels[f]) for f in self.figure.lines) or self._family_key(group)
                found.setdefault(key, []).append(
                    Point(
                        x,
                        summary.estimate.value,
                        *summary.interval,
                        words=describe_summary(summary),
                        x_interval=self._x_interval(group, measure),
                    )
                )
        lines = []
        for key, points in found.items():
            levels = dict(key)
            several = len(self.metrics) > 1
            if self.figure.families:
                colour, label = self._family_colour(levels[FAMILY]), ""  # a frontier's points lie close
            else:
                colour = self.encoding.colour_of(levels) if key else f"s{index % COLOURS}"
                label = (
                    self.encoding.label_of(levels) if key else ""
                )  # several metrics: the legend says which
            dash = self.encoding.dash_of(levels) + (index if several and key else 0)
            lines.append(Line(label, colour, tuple(sorted(points, key=lambda p: p.x)), dash % 4))
        return [*lines, *self._marks(panel, metric)] if self.figure.published else lines

    def _family_key(self, group: Group) -> CellKey:
        return ((FAMILY, self._family(group)),) if self.figure.families else ()

    def _family_colour(self, family: str) -> str:
        return f"s{list(self.figure.families).index(family) % COLOURS}"

    def _x(self, group: Group, measure: str) -> float | None:
        if self.figure.x == STEP:
            return float(self._step(group) or 0)
        if self.x_metric is not None:
            summary = self.summaries.get(group, measure, self.x_metric)
            return None if summary is None else summary.estimate.value
        return self._place(dict(group[0])[self.x_factor])

    def _x_interval(self, group: Group, measure: str) -> tuple[float, float] | None:
        found = None if self.x_metric is None else self.summaries.get(group, measure, self.x_metric)
        return None if found is None else found.interval

    def _place(self, level: str) -> float:
        if self.figure.places:
            return self.figure.places[self.request.factors[self.x_factor].index(level)]
        return float(self.levels.index(level))

    def _marks(self, panel: str, metric: OfResponses) -> list[Line]:
        """The paper's numbers as diamonds in the colour of their line."""
        if self.x_metric is not None:
            return self._pairs(panel, metric)
        wanted, measure = set(self._in_panel(panel)), self._measure(panel)
        lines = []
        for number in self.request.published:
            matches = match_published(number, self.summaries)
            theirs = number.measure or self.summaries.measures_and_mean[0]
            if number.metric == metric and theirs == measure and len(matches) == 1 and matches[0] in wanted:
                levels = {f: dict(matches[0][0])[f] for f in self.figure.lines}
                words = f"{number.label}: {format_value(number.value, metric.unit)} ({number.source})"
                point = Point(self._x(matches[0], measure) or 0.0, number.value, words=words)
                colour = self.encoding.colour_of(levels) if levels else "s0"
                lines.append(Line("", colour, (point,), is_marks=True))
        return lines

    def _pairs(self, panel: str, metric: OfResponses) -> list[Line]:
        """The paper's points where it printed both coordinates of a cell."""
        if self.x_metric is None:
            return []
        lines, measure = [], self._measure(panel)
        for group in self._in_panel(panel):
            x, y = (find_number(self.summaries, group, measure, m) for m in (self.x_metric, metric))
            if x is not None and y is not None:
                shown = f"{format_value(y.value, metric.unit)} at {format_value(x.value, self.x_metric.unit)}"
                point = Point(x.value, y.value, words=f"{y.label}: {shown} ({y.source})")
                levels = {f: dict(group[0])[f] for f in self.figure.lines}
                family = self._family(group)
                colour = self._family_colour(family) if family else "s0"
                colour = self.encoding.colour_of(levels) if levels else colour
                lines.append(Line("", colour, (point,), is_marks=True))
        return lines

    def _references(self, panel: str) -> tuple[tuple[float, str], ...]:
        """The baseline's values and words: one per metric, in the panel's level where it is a cell's."""
        if self.figure.baseline is None:
            return ()
        where = {factor: (level,) for factor, level in self.figure.baseline.items()}
        groups = pick_groups(where, self.summaries.final_groups())
        found = (self.summaries.get(g, self._measure(panel), m) for g in groups for m in self.metrics)
        return tuple((s.estimate.value, describe_summary(s)) for s in found if s is not None)

    def _draw_panel(self, panel: str, lines: Sequence[Line]) -> Markup:
        metric = self.metrics[0]
        band = self.figure.bands.get(panel) or self.figure.bands.get("")
        references = self._references(panel)
        low, high = find_range(
            [*leave_far_marks(lines), Line("", "", tuple(Point(0, y) for y, _ in references))],
            floor=None if metric.unit == "number" else 0.0,
            ceiling=1.0 if metric.unit == "share" else None,
            with_zero=self.figure.kind == "bars",
        )
        if band is not None:
            low, high = min(low, band[0]), max(high, band[1])
        places = tuple(self._place(name) for name in self.levels) if self.figure.places else ()
        label = self.x_factor or "RL step"
        if self.x_metric is not None:
            label = self.x_metric.label
        frame = PanelFrame(
            panel or metric.label, metric.label, words_of(metric), self.levels, label, (low, high), references,
            x_places=places, band=band, is_bars=self.figure.kind == "bars",
        )  # fmt: skip
        return draw_panel(frame, lines)
