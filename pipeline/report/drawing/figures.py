"""The figures of measurements: every metric against the levels of each factor, and against RL checkpoints."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from markupsafe import Markup

from pipeline.report.drawing.axes import find_range
from pipeline.report.drawing.lines import Encoding, Figure, LegendEntry, Levels
from pipeline.report.drawing.panels import draw_panel
from pipeline.report.drawing.shapes import Line, PanelFrame, Point
from pipeline.report.drawing.words import format_value, words_of
from pipeline.report.evidence.sides import Group
from pipeline.report.evidence.summaries import ALL_MEASURES, Summaries, Summary
from pipeline.request.figures import Published
from pipeline.request.metrics import ACCURACY, TOKENS, OfResponses

MOST_FOLDED = 60
Panels = tuple[tuple[str, Markup], ...]


def draw_level_figures(summaries: Summaries) -> list[Figure]:
    """One figure per factor of which some line has two finished levels; the subject (declared first) last."""
    subject, *treatments = summaries.request.factors
    drawn = (_draw_factor(factor, summaries) for factor in (*treatments, subject))
    return [figure for figure in drawn if figure is not None]


def _draw_factor(factor: str, summaries: Summaries) -> Figure | None:
    groups = [g for g in summaries.final_groups() if _any(summaries, g)]
    levels = tuple(
        lv for lv in summaries.request.factors[factor] if any(dict(c).get(factor) == lv for c, _ in groups)
    )
    counts = Counter(tuple(_without(dict(cell), factor).items()) for cell, _ in groups)
    rests = [dict(rest) for rest, count in counts.items() if count > 1]
    if len(levels) < 2 or not rests:
        return None
    encoding = Encoding.choose(rests, summaries.request)

    def lines_of(measure: str, metric: OfResponses) -> dict[str, list[Line]]:
        facets: dict[str, list[Line]] = {}
        for key in rests:
            found = [
                (float(levels.index(dict(g[0])[factor])), s)
                for g in groups
                if _without(dict(g[0]), factor) == key
                and (s := summaries.get(g, measure, metric)) is not None
            ]
            lines = facets.setdefault(encoding.facet_of(key), [])
            lines.append(_line(encoding, key, found))
            lines.append(_published_line(encoding, key, factor, levels, measure, metric, summaries))
        return facets

    main, more = _lay_out(lines_of, summaries, levels, x_label=factor)
    marks = (LegendEntry("the paper's number", "diamond"),) if _has_marks(summaries) else ()
    caption = f"Each metric against the levels of {factor}; bars are 95 % intervals."
    caption += _left_out(summaries, more)
    return Figure(f"By {factor}", caption, main, (*encoding.legend(rests), *marks), more)


def draw_checkpoint_figure(summaries: Summaries) -> Figure | None:
    """Every metric against the RL step, where a cell was measured at several steps."""
    groups = [g for g in summaries.groups if g[1] is not None and _any(summaries, g)]
    cells = list(dict.fromkeys(cell for cell, _ in groups))
    if len({step for _, step in groups}) < 2:
        return None
    keys = [dict(cell) for cell in cells]
    encoding = Encoding.choose(keys, summaries.request)

    def lines_of(measure: str, metric: OfResponses) -> dict[str, list[Line]]:
        facets: dict[str, list[Line]] = {}
        for cell in cells:
            found = [
                (float(g[1] or 0), s)
                for g in groups
                if g[0] == cell and (s := summaries.get(g, measure, metric))
            ]
            facets.setdefault(encoding.facet_of(dict(cell)), []).append(_line(encoding, dict(cell), found))
        return facets

    main, more = _lay_out(lines_of, summaries, (), x_label="RL step")
    caption = "Checkpoints, measured like the cells above." + _left_out(summaries, more)
    return Figure("Along RL training", caption, main, encoding.legend(keys), more)


def _left_out(summaries: Summaries, more: Sequence[object]) -> str:
    is_silent = len(summaries.measures) > 1 and not more
    return (
        " The panels of single measures are left out, being too many; numbers.csv has their values."
        if is_silent
        else ""
    )


def _lay_out(
    lines_of: Callable[[str, OfResponses], dict[str, list[Line]]],
    summaries: Summaries,
    x_names: tuple[str, ...],
    *,
    x_label: str,
) -> tuple[Panels, tuple[tuple[str, Panels], ...]]:
    """Panels of the mean over measures first; each measure's own folded below."""
    shown = [m for m in summaries.metrics if m in (ACCURACY, TOKENS) or _is_claimed(summaries, m)]
    first, *others = summaries.measures_and_mean

    def panels_of(measure: str) -> Panels:
        panels: list[tuple[str, Markup]] = []
        for metric in shown:
            facets = {
                name: [ln for ln in lines if ln.points] for name, lines in lines_of(measure, metric).items()
            }
            facets = {name: lines for name, lines in facets.items() if lines}
            y_range = find_range(
                [ln for lines in facets.values() for ln in lines],
                floor=None if metric.unit == "number" else 0.0,
                ceiling=1.0 if metric.unit == "share" else None,
            )
            for name, lines in facets.items():
                title = " · ".join(filter(None, (metric.label, name, measure)))
                panels.append((title, draw_panel(_frame(title, metric, x_names, x_label, y_range), lines)))
        return tuple(panels)

    main = panels_of(first)
    more = tuple((measure, panels_of(measure)) for measure in others)
    if sum(len(panels) for _, panels in more) > MOST_FOLDED:
        more = ()
    return main, tuple((m, p) for m, p in more if p)


def _frame(
    title: str, metric: OfResponses, x_names: tuple[str, ...], x_label: str, y_range: tuple[float, float]
) -> PanelFrame:
    return PanelFrame(title, metric.label, words_of(metric), x_names, x_label, y_range)


def _line(encoding: Encoding, key: Levels, found: Sequence[tuple[float, Summary]]) -> Line:
    points = tuple(Point(x, s.estimate.value, *s.interval, words=describe_summary(s)) for x, s in found)
    return Line(encoding.label_of(key), encoding.colour_of(key), points, encoding.dash_of(key))


def describe_summary(summary: Summary) -> str:
    """A point in words, for hovering."""
    unit = summary.metric.unit
    low, high = summary.interval
    levels = " · ".join(summary.cell.values()) + (
        f" · step {summary.step}" if summary.step is not None else ""
    )
    return (
        f"{levels}\n{summary.measure}: {summary.metric.label} {format_value(summary.estimate.value, unit)}"
        f" [{format_value(low, unit)}, {format_value(high, unit)}]\n"
        f"{summary.estimate.n_problems} problems, {len(summary.replicates)} replicates"
    )


def _published_line(
    encoding: Encoding,
    key: Levels,
    factor: str,
    levels: tuple[str, ...],
    measure: str,
    metric: OfResponses,
    summaries: Summaries,
) -> Line:
    points = []
    for number in summaries.request.published:
        matches = match_published(number, summaries)
        if number.metric != metric or (number.measure or ALL_MEASURES) != measure or len(matches) != 1:
            continue
        cell = dict(matches[0][0])
        if _without(cell, factor) == key and cell[factor] in levels:
            words = f"{number.label}: {format_value(number.value, metric.unit)} ({number.source})"
            points.append(Point(float(levels.index(cell[factor])), number.value, words=words))
    return Line("", encoding.colour_of(key), tuple(points), is_marks=True)


def match_published(number: Published, summaries: Summaries) -> list[Group]:
    """The cells (at their end, or at the step that it names) that a published number speaks about."""
    if not number.is_ours:
        return []
    groups = (
        summaries.final_groups()
        if number.step is None
        else [g for g in summaries.groups if g[1] == number.step]
    )
    return [g for g in groups if all(dict(g[0]).get(f) == level for f, level in number.cell.items())]


def _has_marks(summaries: Summaries) -> bool:
    shown = (ACCURACY, TOKENS, *(claim.metric for claim in summaries.request.claims))
    return any(
        len(match_published(n, summaries)) == 1 and n.metric in shown and n.step is None
        for n in summaries.request.published
    )


def _is_claimed(summaries: Summaries, metric: OfResponses) -> bool:
    return any(claim.metric == metric for claim in summaries.request.claims)


def _any(summaries: Summaries, group: Group) -> bool:
    return any(summaries.get(group, measure, summaries.metrics[0]) for measure in summaries.measures)


def _without(cell: dict[str, str], factor: str) -> dict[str, str]:
    return {name: level for name, level in cell.items() if name != factor}
