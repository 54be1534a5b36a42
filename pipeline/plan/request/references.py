"""What figures, tables and published numbers refer to: measures, metrics of them, columns, single cells.

Whatever the study does not have is noted where it was written.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

from pipeline.errors import shown, suggest
from pipeline.locate import PathTuple
from pipeline.plan.cells import STEP, Cell, CellIndex, check_selector
from pipeline.plan.lower.cells import Lowered
from pipeline.plan.request.metrics import Metrics
from pipeline.request.figures import JOINED
from pipeline.request.metrics import AnyMetric, Count, Logged, OfResponses
from pipeline.spec.levels import Problems


class References:
    """Finds what is referred to, in one study."""

    def __init__(self, lowered: Lowered, problems: Problems, metrics: Metrics) -> None:
        self.lowered = lowered
        self.study = lowered.study
        self.problems = problems
        self.metrics = metrics
        self.cells = CellIndex(lowered.cells)
        self.places = {(cell, step) for cell, step, _ in lowered.cell_units}
        """The cells with the checkpoints (None: the end) where anything is measured."""

    @functools.cached_property
    def _checkpoints(self) -> dict[Cell, list[int]]:
        found: dict[Cell, list[int]] = {}
        for cell, step in self.places:
            if step is not None:
                found.setdefault(cell, []).append(step)
        return found

    def checkpoints_of(self, cell: Cell) -> list[int]:
        """The steps at which a cell is measured while it trains."""
        return self._checkpoints.get(cell, [])

    def metric(self, written: Any, path: PathTuple, measures: tuple[str, ...]) -> OfResponses | None:
        """A metric of responses that is taken on every one of the measures; None after noting what is wrong."""
        found = self.curve_or_metric(written, path, measures)
        if isinstance(found, Logged):
            self._note_no_responses(found, path)
            return None
        return found

    def curve_or_metric(
        self, written: Any, path: PathTuple, measures: tuple[str, ...]
    ) -> OfResponses | Logged | None:
        """The same, or a column that trainings log."""
        before = len(self.problems)
        metric = self.metrics.read(written, path, measures)
        if isinstance(metric, Count):
            self._note_no_responses(metric, path)
        if metric is None or isinstance(metric, Count) or len(self.problems) > before:
            return None
        if isinstance(metric, Logged) or self.metrics.is_measured(metric, measures, path):
            return metric
        return None

    def _note_no_responses(self, metric: AnyMetric, path: PathTuple) -> None:
        what = f"{metric.name} is no measure of responses"
        remedy = "Claims may speak of it; a training curve is also the y of a figure over step."
        self.problems.add(path, what, remedy)

    def measures(self, given: str | tuple[str, ...] | None, path: PathTuple) -> tuple[str, ...]:
        """Measures as they are written, one or several; unknown ones are noted."""
        names = () if given is None else (given,) if isinstance(given, str) else given
        for name in names:
            if name not in self.study.spec.measure and not self.problems.is_broken("measure", name):
                self.problems.add(
                    path, f"measure {name!r} is unknown", suggest(name, self.study.spec.measure)
                )
        return names

    def places_of(self, where: Mapping[str, Any]) -> list[tuple[Cell, int | None]]:
        """The cells that a selector allows, with every checkpoint that is measured."""
        cells = set(self.cells.match(where))
        return [place for place in self.places if place[0] in cells]

    def column(self, text: str, path: PathTuple) -> tuple[str, OfResponses] | None:
        """`MEASURE METRIC`, `A+B METRIC` or a METRIC alone → (measures joined or "", metric)."""
        names, _, metric = text.strip().rpartition(" ")
        measures = self.measures(tuple(part.strip() for part in names.split("+") if part.strip()), path)
        found = self.metric(metric, path, measures or tuple(self.study.measures))
        return None if found is None else (JOINED.join(measures), found)

    def is_cell(self, cell: Mapping[str, Any], path: PathTuple, what: str = "a published number") -> bool:
        """Whether exactly one cell (at its step) answers to a selector; else a problem."""
        before = len(self.problems)
        check_selector(self.study, cell, path, self.problems, steps=True)
        if len(self.problems) > before:
            return False
        step = cell.get(STEP)
        if isinstance(step, Mapping):
            self.problems.add((*path, STEP), f"step is {shown(step)}", "Write one step, e.g. step: 40.")
            return False
        found = [c for c in self.cells.match(cell) if (c, step) in self.places]
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
