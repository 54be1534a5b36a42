"""What a report is asked to draw beside the verdicts: figures, tables, and the numbers that a paper printed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from pipeline.request.metrics import Metric, ResponseMetric
from pipeline.request.strict import Strict
from pipeline.request.units import Cell

STEP, MEASURE = "step", "measure"
"""Words that stand where factors do: the checkpoints of a training, what is measured."""
JOINED = " + "
"""Between the names of measures that are averaged."""


@dataclass(frozen=True, kw_only=True)
class Published(Strict):
    """A number that a paper printed, in our units (shares from 0 to 1, tokens); no measure: mean of all.

    Where it is another work's (`is_ours` false), no cell of ours answers to it.
    """

    label: str
    cell: Cell
    metric: ResponseMetric
    value: float
    source: str
    measure: str | None = None
    step: int | None = None
    is_ours: bool = True


@dataclass(frozen=True, kw_only=True)
class FigureRequest(Strict):
    """A declared figure: metrics `y` against a factor, `step` or a metric; no measures: the mean of all."""

    name: str
    title: str
    caption: str
    kind: Literal["curve", "bars"]
    x: str | ResponseMetric
    y: tuple[Metric, ...]
    lines: tuple[str, ...] = ()
    families: Mapping[str, Mapping[str, tuple[str, ...]]] = field(default_factory=dict)
    panels: str | None = None
    measures: tuple[str, ...] = ()
    where: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    baseline: Cell | None = None
    places: tuple[float, ...] = ()
    published: bool = False
    bands: Mapping[str, tuple[float, float]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class TableRequest(Strict):
    """A declared table; columns are (measure or "", metric).

    Its rows are those of its `cells`: (factor → levels, steps); no steps: the end of training.
    """

    name: str
    title: str
    caption: str
    rows: tuple[str, ...]
    columns: tuple[tuple[str, ResponseMetric], ...]
    cells: tuple[tuple[Mapping[str, tuple[str, ...]], tuple[int, ...]], ...] = (({}, ()),)
    published: bool = True
