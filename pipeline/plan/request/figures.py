"""The figures of a study → what the report is asked to draw, checked against its cells.

Guaranteed: every point of a figure is one cell. What does not hold is a problem with its place.
"""

from __future__ import annotations

import math
import re

from pipeline.errors import suggest
from pipeline.locate import PathTuple
from pipeline.plan.cells import STEP, Cell, check_selector, chosen_levels
from pipeline.plan.request.references import References
from pipeline.request.figures import MEASURE, FigureRequest
from pipeline.request.metrics import Logged, OfResponses
from pipeline.spec.figures import FigureSpec

_NUMBER = re.compile(r"(\d+(?:\.\d+)?)([kKmM]?)")


def compile_figure(name: str, spec: FigureSpec, references: References) -> FigureRequest | None:
    """A figure whose names are all known and whose points are one cell each; None after noting what is wrong."""
    return _Compiler(name, spec, references).compile()


class _Compiler:
    def __init__(self, name: str, spec: FigureSpec, references: References) -> None:
        self.name = name
        self.spec = spec
        self.path: PathTuple = ("figures", name)
        self.references = references
        self.study = references.study
        self.problems = references.problems

    def compile(self) -> FigureRequest | None:
        spec, path = self.spec, self.path
        before = len(self.problems)
        measures = self.references.measures(spec.measure, (*path, MEASURE))
        asked = measures or (() if spec.panels == MEASURE else tuple(self.study.measures))
        y = self._y(asked)
        x = self._x(asked)
        self._check_factors()
        check_selector(self.study, spec.where, (*path, "where"), self.problems)
        self._check_families()
        if spec.baseline is not None:
            self.references.is_cell(spec.baseline, (*path, "baseline"), "a baseline")
        if len(self.problems) > before or not y:
            return None
        self._check_curves(y)
        self._check_points(is_training=isinstance(y[0], Logged))
        self._check_found(y, measures, asked)
        return FigureRequest(
            name=self.name,
            title=spec.title or self.name.replace("_", " "),
            caption=spec.caption,
            kind=spec.kind,
            x=x,
            y=y,
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
            places=self._places() if spec.log_x else (),
            published=spec.published,
            bands=spec.band if isinstance(spec.band, dict) else {"": spec.band} if spec.band else {},
        )

    def _y(self, measures: tuple[str, ...]) -> tuple[OfResponses | Logged, ...]:
        """The metrics of the y axis; none after noting that any is wrong."""
        y, path = self.spec.y, (*self.path, "y")
        places = [((*path, i), one) for i, one in enumerate(y)] if isinstance(y, tuple) else [(path, y)]
        found = [self.references.curve_or_metric(one, place, measures) for place, one in places]
        kept = tuple(metric for metric in found if metric is not None)
        return kept if len(kept) == len(found) else ()

    def _x(self, measures: tuple[str, ...]) -> str | OfResponses:
        """A factor, `step`, or the metric of the x axis."""
        x, path = self.spec.x, (*self.path, "x")
        if x == STEP or x in self.study.factors:
            return x
        known = (*self.study.factors, STEP, "tokens", "accuracy")
        if x not in known and "." not in x and "@" not in x:
            self.problems.add(path, f"x: {x!r} is unknown", suggest(x, known))
            return x
        return self.references.metric(x, path, measures) or x

    def _check_curves(self, y: tuple[OfResponses | Logged, ...]) -> None:
        """Note training curves that are not drawn against steps, or beside metrics of responses."""
        of_training = [isinstance(metric, Logged) for metric in y]
        if any(of_training) and self.spec.x != STEP:
            self.problems.add((*self.path, "x"), "a training curve is drawn against step", "Write x: step.")
        if any(of_training) and not all(of_training):
            what = "a figure shows training curves or metrics of responses, not both"
            self.problems.add((*self.path, "y"), what, "Draw two figures.")

    def _check_found(
        self, y: tuple[OfResponses | Logged, ...], measures: tuple[str, ...], asked: tuple[str, ...]
    ) -> None:
        """Note a metric that no cell of the figure has."""
        sets = [asked]
        if self.spec.panels == MEASURE:
            sets = [(name,) for name in measures or self.study.measures]
        for metric in y:
            if not isinstance(metric, Logged):
                places = self.references.places_of(self.spec.where)
                what = f"figure {self.name!r}"
                self.references.metrics.check_found(metric, sets, places, what, self.path)

    def _check_factors(self) -> None:
        """Note lines, panels and bands that the study does not have."""
        spec, path = self.spec, self.path
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
            by = self.study.factors.get(spec.panels or "")
            measures = self.study.spec.measure if spec.panels == MEASURE else {}
            panels = list(measures) if by is None else list(by.levels)
            for level in spec.band:
                if level not in panels:
                    what = f"band: {level!r} is no panel"
                    self.problems.add((*path, "band", level), what, suggest(level, panels), key=True)

    def _check_families(self) -> None:
        """Note families that are no sets of cells of the figure, and those of a figure over a factor."""
        spec, path = self.spec, self.path
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
            if not set(self.references.cells.match(spec.where)) & set(self.references.cells.match(selector)):
                self.problems.add(
                    place,
                    f"family {name!r} has no cell of the figure",
                    "Change it, or the figure's where.",
                    key=True,
                )

    def _check_points(self, *, is_training: bool) -> None:
        """Note a point that is several cells, naming the factor that tells them apart."""
        spec, path = self.spec, self.path
        axes = [f for f in (*spec.lines, spec.panels or "", spec.x) if f in self.study.factors]
        cells = self.references.cells.match(spec.where)
        if spec.x not in (*self.study.factors, STEP):
            axes = list(self.study.factors)  # a scatter has a point per cell
        elif spec.x == STEP and not any(self._is_measured_in_training(cell) for cell in cells):
            if not is_training:
                self.problems.add(
                    (*path, "x"), "no cell of the figure has checkpoints", "Give the RL level `checkpoints`."
                )
            return
        seen: dict[tuple[str, ...], Cell] = {}
        for cell in cells:
            if spec.x == STEP and not self._is_measured_in_training(cell):
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

    def _is_measured_in_training(self, cell: Cell) -> bool:
        return bool(self.references.checkpoints_of(cell))

    def _places(self) -> tuple[float, ...]:
        """Where the levels of x lie: log2 of rows or number; `none` one step before the smallest."""
        spec, path = self.spec, self.path
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
