"""The words of figures, tables and published numbers: what the report shows, and what the paper printed."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from pipeline.spec.base import Measures, Model, Names, Selector, SomeNames
from pipeline.spec.claims import MetricSpec

Band = tuple[float, float]


class FigureSpec(Model):
    """A figure of the report: one metric (or several) against a factor, the steps, or another metric."""

    title: str | None = Field(None, description="Heading; the figure's name when absent.")
    caption: str = Field("", description="Words below the heading.")
    kind: Literal["curve", "bars"] = Field("curve", description="Lines with intervals, or bars.")
    x: str = Field(
        description="A factor (its levels in order), `step` (checkpoints, or the log for training.COLUMN), or a metric "
        "(accuracy against tokens: a frontier)."
    )
    y: str | MetricSpec | Annotated[tuple[str | MetricSpec, ...], Field(min_length=1)] = Field(
        "accuracy", description="The metric, or several to compare."
    )
    lines: Names = Field((), description="Factors whose levels are lines (the first by colour).")
    families: dict[str, Selector] = Field(
        {},
        description="{NAME: selector}: named sets of cells, each one line, where x is a metric (a frontier); "
        "instead of lines.",
    )
    panels: str | None = Field(None, description="A factor, or `measure`: one panel per level.")
    measure: Measures | None = Field(
        None, description="One measure, or several (macro mean); the macro mean over all when absent."
    )
    where: Selector = Field({}, description="Which cells.")
    baseline: Selector | None = Field(
        None,
        description="One cell whose value is a dashed line across every panel: what training began from.",
    )
    log_x: bool = Field(
        False, description="Place levels by the logarithm of their rows (or of their number)."
    )
    published: bool = Field(False, description="Mark the paper's numbers.")
    band: Band | dict[str, Band] | None = Field(
        None,
        description="A range of y to shade, e.g. the paper's axis; {level of `panels`: [low, high]} for each panel.",
    )

    @model_validator(mode="before")
    @classmethod
    def _shorthands(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        changed = dict(value)
        band = value.get("band")
        if isinstance(band, dict):
            changed["band"] = {str(k): _as_floats(v) for k, v in band.items()}
        elif band is not None:
            changed["band"] = _as_floats(band)
        return changed

    @model_validator(mode="after")
    def _one_way_to_lines(self) -> FigureSpec:
        if self.families and self.lines:
            raise ValueError("a figure has lines or families\nKeep one of them.")
        bands = self.band.values() if isinstance(self.band, dict) else [self.band] if self.band else []
        if any(low >= high for low, high in bands):
            raise ValueError("a band is empty\nWrite [low, high].")
        return self


class TableSpec(Model):
    """A table of the report: cells by (measure × metric), the paper's numbers beside ours."""

    title: str | None = Field(None, description="Heading; the table's name when absent.")
    caption: str = Field("", description="Words below the heading.")
    rows: SomeNames = Field(
        description="Factors whose levels are rows; `step` among them shows the checkpoint."
    )
    columns: tuple[str, ...] = Field(
        description="`MEASURE METRIC` each; `A+B METRIC` for a macro mean, a METRIC alone for that over all measures.",
        min_length=1,
    )
    where: Selector = Field({}, description="Which cells; `step: n`, or a list, for checkpoints.")
    cells: tuple[Selector, ...] = Field(
        (), description="Which of them, selector after selector, each with its own `step`; all when absent."
    )
    published: bool = Field(True, description="Show the paper's numbers and the differences.")


class PublishedSpec(Model):
    """What a paper printed: one number, or a table of them (columns, and rows with values)."""

    source: str = Field(description="Where it stands in the paper.")
    label: str | None = Field(None, description="What it is, as the paper says it.")
    unit: Literal["ours", "percent"] = Field(
        "ours", description="percent: shares (accuracy, truncated, pass@k) are printed as 0 to 100."
    )
    cell: Selector = Field(
        {}, description="The cells that it (or every row of the table) belongs to; step: n."
    )
    measure: str | None = Field(None, description="The measure of one number; the mean over all when absent.")
    metric: str = Field("accuracy", description="The metric of one number.")
    value: float | None = Field(None, description="One number.")
    columns: tuple[str, ...] = Field((), description="Of a table: `MEASURE METRIC` each, or a METRIC alone.")
    rows: tuple[dict[str, Any], ...] = Field(
        (),
        description="Of a table: {FACTOR: level, …, values: […]} each, with `step` and `label` where wanted; "
        "a row with a label alone is another work's, shown without ours. Empty values are left out.",
    )

    @model_validator(mode="after")
    def _number_or_table(self) -> PublishedSpec:
        if (self.value is None) == (not self.rows):
            raise ValueError("a published entry needs either value or rows\nWrite one of them.")
        if bool(self.rows) != bool(self.columns):
            raise ValueError("a published table needs both columns and rows")
        return self


def _as_floats(value: Any) -> Any:
    is_pair = isinstance(value, tuple) and all(
        isinstance(x, (int, float)) and not isinstance(x, bool) for x in value
    )
    return tuple(float(x) for x in value) if is_pair else value
