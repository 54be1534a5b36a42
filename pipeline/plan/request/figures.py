"""Figures, tables and published numbers of a study → what the report is asked to show, checked against its cells.

Guaranteed: every point of a figure and every row of a table is one cell; every published number that claims a
cell of ours has exactly one. What does not is a problem with its place.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.errors import shown, suggest
from pipeline.locate import PathTuple
from pipeline.plan.cells import STEP, Cell, CellIndex, check_selector, chosen_levels
from pipeline.plan.lower.cells import Lowered
from pipeline.plan.request.metrics import Metrics
from pipeline.plan.request.published import has_values, make_number
from pipeline.plan.request.tables import compile_table
from pipeline.request.request import FigureRequest, Published, TableRequest
from pipeline.spec.figures import FigureSpec, PublishedSpec, TableSpec
from pipeline.spec.levels import Problems

MEASURE = "measure"
ROW_WORDS = ("values", "label", STEP)
JOINED = " + "
"""Between the names of measures that are averaged."""

_NUMBER = re.compile(r"(\d+(?:\.\d+)?)([kKmM]?)")


@dataclass(frozen=True)
class Shown:
    """What the report is asked to show; no figures at all where the study declares none."""

    figures: tuple[FigureRequest, ...] | None = None
    tables: tuple[TableRequest, ...] = ()
    published: tuple[Published, ...] = ()


def compile_shown(lowered: Lowered, problems: Problems, metrics: Metrics) -> Shown:
    """Every figure, table and published number of a study; problems are noted."""
    compiler = _Compiler(lowered, problems, metrics)
    spec = lowered.study.spec
    figures = [compiler.figure(name, figure) for name, figure in (spec.figures or {}).items()]
    tables = [compiler.table(name, table) for name, table in spec.tables.items()]
    published = [n for i, entry in enumerate(spec.published) for n in compiler.published(i, entry)]
    return Shown(
        None if spec.figures is None else tuple(f for f in figures if f is not None),
        tuple(t for t in tables if t is not None),
        tuple(published),
    )


class _Compiler:
    def __init__(self, lowered: Lowered, problems: Problems, metrics: Metrics) -> None:
        self.lowered = lowered
        self.study = lowered.study
        self.problems = problems
        self.metrics = metrics
        self.cells = CellIndex(lowered.cells)
        self.steps = {(cell, step) for cell, step, _ in lowered.cell_units}

    def figure(self, name: str, spec: FigureSpec) -> FigureRequest | None:
        path = ("figures", name)
        before = len(self.problems)
        measures = self._measures(spec.measure, (*path, MEASURE))
        metrics = spec.y if isinstance(spec.y, tuple) else (spec.y,)
        asked = measures or (() if spec.panels == MEASURE else tuple(self.study.measures))
        y = [
            self._metric(
                m, (*path, "y", i) if isinstance(spec.y, tuple) else (*path, "y"), asked, curves=True
            )
            for i, m in enumerate(metrics)
        ]
        is_factor = spec.x in self.study.factors
        if not is_factor and spec.x != STEP:
            known = (*self.study.factors, STEP, "tokens", "accuracy")
            if spec.x not in known and "." not in spec.x and "@" not in spec.x:
                self.problems.add((*path, "x"), f"x: {spec.x!r} is unknown", suggest(spec.x, known))
            else:
                self._metric(spec.x, (*path, "x"), asked)
        self._check_factors(spec, path)
        check_selector(self.study, spec.where, (*path, "where"), self.problems)
        self._check_families(spec, path)
        if spec.baseline is not None:
            self._is_cell(spec.baseline, (*path, "baseline"), "a baseline")
        if len(self.problems) > before or None in y:
            return None
        of_training = [str(metric).startswith("training.") for metric in y]
        if any(of_training) and spec.x != STEP:
            self.problems.add((*path, "x"), "a training curve is drawn against step", "Write x: step.")
        if any(of_training) and not all(of_training):
            what = "a figure shows training curves or metrics of responses, not both"
            self.problems.add((*path, "y"), what, "Draw two figures.")
        self._check_points(spec, path)
        for metric in (m for m in y if not _is_training(m)):
            sets = (
                [(name,) for name in measures or self.study.measures] if spec.panels == MEASURE else [asked]
            )
            self.metrics.check_found(metric, sets, self._places_of(spec.where), f"figure {name!r}", path)
        return FigureRequest(
            name=name,
            title=spec.title or name.replace("_", " "),
            caption=spec.caption,
            kind=spec.kind,
            x=spec.x,
            y=tuple(y),
            lines=spec.lines,
            families={
                family: {factor: chosen_levels(levels) for factor, levels in selector.items()}
                for family, selector in spec.families.items()
            },
            panels=spec.panels,
            measures=measures,
            where={factor: chosen_levels(levels) for factor, levels in spec.where.items()},
            baseline=None
            if spec.baseline is None
            else {factor: chosen_levels(level)[0] for factor, level in spec.baseline.items()},
            places=self._places(spec, path) if spec.log_x else (),
            published=spec.published,
            bands=spec.band if isinstance(spec.band, dict) else {"": spec.band} if spec.band else {},
        )

    def _metric(
        self, metric: Any, path: PathTuple, measures: tuple[str, ...], *, curves: bool = False
    ) -> str | None:
        """The name of a metric that is taken on every one of the measures; None after noting what is wrong."""
        before = len(self.problems)
        name = self.metrics.name(metric, path, measures)
        if name is not None and name.startswith(("data.",) if curves else ("data.", "training.")):
            what = f"{name} is no measure of responses"
            remedy = "Claims may speak of it; a training curve is also the y of a figure over step."
            self.problems.add(path, what, remedy)
        if name is None or len(self.problems) > before or not self.metrics.is_measured(name, measures, path):
            return None
        return name

    def _measures(self, given: str | tuple[str, ...] | None, path: PathTuple) -> tuple[str, ...]:
        names = () if given is None else (given,) if isinstance(given, str) else given
        for name in names:
            if name not in self.study.spec.measure and not self.problems.is_broken("measure", name):
                self.problems.add(
                    path, f"measure {name!r} is unknown", suggest(name, self.study.spec.measure)
                )
        return names

    def _check_factors(self, spec: FigureSpec, path: PathTuple) -> None:
        for i, factor in enumerate(spec.lines):
            if factor not in self.study.factors:
                self.problems.add(
                    (*path, "lines", i), f"factor {factor!r} is unknown", suggest(factor, self.study.factors)
                )
        if spec.panels is not None and spec.panels not in (MEASURE, *self.study.factors):
            known = (*self.study.factors, MEASURE)
            self.problems.add(
                (*path, "panels"), f"factor {spec.panels!r} is unknown", suggest(spec.panels, known)
            )
        if isinstance(spec.band, dict):
            known = self.study.spec.measure if spec.panels == MEASURE else ()
            factor = self.study.factors.get(spec.panels or "")
            known = list(factor.levels) if factor is not None else list(known)
            for level in spec.band:
                if level not in known:
                    self.problems.add(
                        (*path, "band", level),
                        f"band: {level!r} is no panel",
                        suggest(level, known),
                        key=True,
                    )

    def _check_families(self, spec: FigureSpec, path: PathTuple) -> None:
        """Note families that are no sets of cells of the figure, and those of a figure over a factor."""
        if spec.families and spec.x in (STEP, *self.study.factors):
            self.problems.add(
                (*path, "families"),
                "families are lines over a metric",
                "Write x: tokens, or lines.",
                key=True,
            )
        for name, selector in spec.families.items():
            place = (*path, "families", name)
            if not check_selector(self.study, selector, place, self.problems):
                continue
            if not set(self.cells.match(spec.where)) & set(self.cells.match(selector)):
                self.problems.add(
                    place,
                    f"family {name!r} has no cell of the figure",
                    "Change it, or the figure's where.",
                    key=True,
                )

    def _check_points(self, spec: FigureSpec, path: PathTuple) -> None:
        """Note a point that is several cells, naming the factor that tells them apart."""
        axes = [f for f in (*spec.lines, spec.panels, spec.x) if f in self.study.factors]
        cells = self.cells.match(spec.where)
        if spec.x not in (*self.study.factors, STEP):
            axes = list(self.study.factors)  # a scatter has a point per cell
        elif spec.x == STEP and not any(
            m for m in cells if any((m, s) in self.steps for s in self._steps_of(m))
        ):
            if not _is_training(spec.y):
                self.problems.add(
                    (*path, "x"), "no cell of the figure has checkpoints", "Give the RL level `checkpoints`."
                )
            return
        seen: dict[tuple[str, ...], Cell] = {}
        for cell in cells:
            if spec.x == STEP and not self._steps_of(cell):
                continue
            place = tuple(cell.level(f) for f in axes)
            other = seen.setdefault(place, cell)
            if other is not cell:
                factor = next(f for f in self.study.factors if cell.level(f) != other.level(f))
                self.problems.add(
                    path,
                    f"figure {path[-1]!r}: cells that differ in {factor!r} share a point",
                    f"Add {factor!r} to lines or panels, or choose a level of it in where.",
                    key=True,
                )
                return

    def _steps_of(self, cell: Cell) -> list[int]:
        if not hasattr(self, "_by_cell"):
            self._by_cell: dict[Cell, list[int]] = {}
            for other, step in self.steps:
                if step is not None:
                    self._by_cell.setdefault(other, []).append(step)
        return self._by_cell.get(cell, [])

    def _places(self, spec: FigureSpec, path: PathTuple) -> tuple[float, ...]:
        """Where the levels of x lie: log2 of rows or number; `none` one step before the smallest."""
        if spec.x not in self.study.factors:
            self.problems.add((*path, "log_x"), "log_x places the levels of a factor", "Write x: FACTOR.")
            return ()
        sizes = {}
        for name, level in self.study.factors[spec.x].levels.items():
            rows = level.settings.values.get("rows") if level.settings is not None else None
            found = _NUMBER.search(name)
            if type(rows) is int and rows > 0:
                sizes[name] = math.log2(rows)
            elif found and float(found[1]) > 0:
                sizes[name] = math.log2(float(found[1]) * {"": 1, "k": 1e3, "m": 1e6}[found[2].lower()])
        if not sizes:
            self.problems.add((*path, "log_x"), f"no level of {spec.x!r} has a number", "Leave log_x out.")
            return ()
        lowest = min(sizes.values())
        return tuple(sizes.get(name, lowest - 1) - lowest for name in self.study.factors[spec.x].levels)

    def table(self, name: str, spec: TableSpec) -> TableRequest | None:
        path = ("tables", name, "columns")
        columns = [self._column(text, (*path, i)) for i, text in enumerate(spec.columns)]
        steps = self.steps if self.metrics.is_whole else None
        table = compile_table(name, spec, columns, self.study, self.problems, self.cells, steps)
        if table is not None:
            places = [place for where, _ in table.cells for place in self._places_of(where)]
            for i, (measure, metric) in enumerate(table.columns):
                names = measure.split(JOINED) if measure else tuple(self.study.measures)
                self.metrics.check_found(metric, [names], places, f"table {name!r}", (*path, i))
        return table

    def _places_of(self, where: Mapping[str, Any]) -> list[tuple[Cell, int | None]]:
        """The cells that a selector allows, with every checkpoint that is measured."""
        cells = set(self.cells.match(where))
        return [place for place in self.steps if place[0] in cells]

    def _column(self, text: str, path: PathTuple) -> tuple[str, str] | None:
        """`MEASURE METRIC`, `A+B METRIC` or a METRIC alone → (measures joined or "", metric)."""
        names, _, metric = text.strip().rpartition(" ")
        measures = self._measures(tuple(part.strip() for part in names.split("+") if part.strip()), path)
        found = self._metric(metric, path, measures or tuple(self.study.measures))
        return None if found is None else (JOINED.join(measures), found)

    def published(self, index: int, spec: PublishedSpec) -> Iterable[Published]:
        path: PathTuple = ("published", index)
        label = spec.label or ""
        if spec.value is not None:
            measures = self._measures(spec.measure, (*path, MEASURE))
            metric = self._metric(spec.metric, (*path, "metric"), measures or tuple(self.study.measures))
            if metric is not None and self._is_cell(spec.cell, (*path, "cell")):
                yield make_number(spec, spec.cell, label, (JOINED.join(measures), metric), spec.value)
            return
        columns = [self._column(text, (*path, "columns", i)) for i, text in enumerate(spec.columns)]
        for i, row in enumerate(spec.rows):
            if not has_values(row, len(spec.columns), (*path, "rows", i), self.problems):
                continue
            own = {factor: level for factor, level in row.items() if factor not in ("values", "label")}
            cell = {**spec.cell, **own}
            is_ours = bool(own) or not row.get("label")
            if is_ours and not self._is_cell(cell, (*path, "rows", i)):
                continue
            words = str(row.get("label") or self._called(cell, own))
            words = " ".join(filter(None, (label, words)))
            for column, value in zip(columns, row["values"], strict=True):
                if column is not None and value is not None:
                    yield make_number(spec, cell if is_ours else {}, words, column, value, is_ours=is_ours)

    def _called(self, cell: Mapping[str, Any], own: Mapping[str, Any]) -> str:
        """A row of a published table in the study's words: its own levels, after the model where all rows share one."""
        named = {factor: cell[factor] for factor in self.study.chain[:1] if factor in cell} | dict(own)
        return " · ".join(f"{f}: none" if level == "none" else str(level) for f, level in named.items())

    def _is_cell(self, cell: Mapping[str, Any], path: PathTuple, what: str = "a published number") -> bool:
        """Whether exactly one cell (at its step) answers to a selector; else a problem."""
        before = len(self.problems)
        check_selector(self.study, cell, path, self.problems, steps=True)
        if len(self.problems) > before:
            return False
        step = cell.get(STEP)
        found = [c for c in self.cells.match(cell) if (c, step) in self.steps]
        if len(found) == 1 or not self.metrics.is_whole:
            return len(found) == 1
        words = shown(cell) if cell else "all cells"
        if found:
            differ = next(f for f in self.study.factors if len({c.level(f) for c in found}) > 1)
            self.problems.add(
                path,
                f"{len(found)} cells answer to {what} ({words})",
                f"Name its level of {differ!r}.",
            )
        else:
            remedy = "Add the cell to `cells`"
            if "published" in what:
                remedy += ", or give the row a label alone: it is another work's then"
            self.problems.add(path, f"no cell answers to {what} ({words})", f"{remedy}.")
        return False


def _is_training(y: Any) -> bool:
    """Whether a figure draws the log of a training."""
    return str(y[0] if isinstance(y, tuple) else y).startswith("training.")
