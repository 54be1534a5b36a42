"""What a study asks its report to show beside the verdicts: figures, tables and published numbers, compiled."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.plan.lower.cells import Lowered
from pipeline.plan.request.figures import compile_figure
from pipeline.plan.request.metrics import Metrics
from pipeline.plan.request.published import compile_published
from pipeline.plan.request.references import References
from pipeline.plan.request.tables import compile_table
from pipeline.request.figures import FigureRequest, Published, TableRequest
from pipeline.spec.levels import Problems


@dataclass(frozen=True)
class Shown:
    """What the report is asked to show; no figures at all where the study declares none."""

    figures: tuple[FigureRequest, ...] | None = None
    tables: tuple[TableRequest, ...] = ()
    published: tuple[Published, ...] = ()


def compile_shown(lowered: Lowered, problems: Problems, metrics: Metrics) -> Shown:
    """Every figure, table and published number of a study; problems are noted."""
    references = References(lowered, problems, metrics)
    spec = lowered.study.spec
    figures = [compile_figure(name, figure, references) for name, figure in (spec.figures or {}).items()]
    tables = [compile_table(name, table, references) for name, table in spec.tables.items()]
    published = [n for i, entry in enumerate(spec.published) for n in compile_published(i, entry, references)]
    return Shown(
        None if spec.figures is None else tuple(f for f in figures if f is not None),
        tuple(t for t in tables if t is not None),
        tuple(published),
    )
