"""The words of a claim: a quantity (of, minus, relative_to, first), held against something."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from pipeline.spec.base import Measures, Model, Names, Scalar, Selector

ClaimSelector = dict[str, Scalar | tuple[Scalar, ...] | dict[str, Any] | None]
"""A selector that may also name a `measure` and a `metric`, pick `{max: [levels]}`, and give a stretch of steps."""

COMPARISONS = ("above", "below", "at_least", "at_most", "between", "order", "trend")
Trend = Literal["rises", "falls", "rises at every step", "falls at every step", "never rises", "never falls"]


class MetricSpec(Model):
    """A metric over a part of the responses: the mean or the standard deviation of a column."""

    mean: str | None = Field(
        None, description="Column: tokens, correct, truncated, ANALYSIS.column, reward.NAME."
    )
    sd: str | None = Field(
        None, description="The same columns; the population standard deviation over the pooled responses."
    )
    given: dict[str, bool | tuple[float, float]] = Field(
        {}, description="Only responses where a column is true, false or within [low, high]."
    )
    params: dict[str, Any] = Field({}, description="Parameters of the reward, for reward.NAME.")

    @model_validator(mode="before")
    @classmethod
    def _as_floats(cls, value: Any) -> Any:
        if isinstance(value, dict) and isinstance(value.get("given"), dict):
            given = {
                k: tuple(float(x) for x in v) if isinstance(v, tuple) and all(_is_number(x) for x in v) else v
                for k, v in value["given"].items()
            }
            return {**value, "given": given}
        return value

    @model_validator(mode="after")
    def _one_statistic(self) -> MetricSpec:
        if (self.mean is None) == (self.sd is None):
            raise ValueError("a metric needs either mean or sd\nName the column once.")
        for column, wanted in self.given.items():
            if isinstance(wanted, tuple) and wanted[0] > wanted[1]:
                raise ValueError(f"the range of {column} is empty\nWrite [low, high].")
        return self


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


class FirstSpec(Model):
    """The first level of a factor at which the metric reaches that of other cells."""

    along: str | dict[str, tuple[Scalar, ...]] = Field(
        description="The factor, or {factor: [levels in order]}."
    )
    reaches: ClaimSelector = Field(
        description="The cells whose metric is to be reached (differing factors only)."
    )
    by: float = Field(0.0, description="So much more than theirs; negative tolerates a loss.")


class ClaimSpec(Model):
    """A statement that the data decide: a quantity against other cells, a number, a range, an order or a trend."""

    text: str | None = Field(None, description="The claim in words, for the report.")
    metric: str | MetricSpec = Field(
        "accuracy",
        description="accuracy, pass@K, maj@K, tokens, truncated, token_efficiency, ANALYSIS.column, "
        "training.COLUMN, data.NAME.COUNT, or {mean|sd: COLUMN, given: {COLUMN: …}}.",
    )
    measure: Measures | None = Field(
        None, description="One measure, or several (macro mean); the macro mean over all when absent."
    )
    of: ClaimSelector = Field(
        {}, description="The cells that the claim is about: factor: level (or levels), step: n."
    )
    minus: ClaimSelector | None = Field(None, description="Speak of the difference to these cells.")
    relative_to: ClaimSelector | None = Field(None, description="Speak of the ratio to these cells.")
    first: FirstSpec | None = Field(None, description="Speak of the first level that reaches other cells.")
    above: ClaimSelector | None = Field(
        None, description="Claimed: of > these cells (differing factors only)."
    )
    below: ClaimSelector | None = Field(
        None, description="Claimed: of < these cells (differing factors only)."
    )
    by: float = Field(
        0.0, description="Margin of the difference; negative tolerates a loss (non-inferiority)."
    )
    times: float | None = Field(
        None, description="Compare with this multiple of the other side instead.", gt=0
    )
    matched: str | None = Field(
        None,
        description="Compare at equal values of this metric (tokens): every listed level is a point of its "
        "family's frontier.",
    )
    at_least: float | None = Field(None, description="Claimed: of >= this number.")
    at_most: float | None = Field(None, description="Claimed: of <= this number.")
    between: tuple[float, float] | None = Field(None, description="Claimed: within [low, high].")
    order: tuple[ClaimSelector, ...] | None = Field(
        None, description="Claimed: each of these cells is less than the next.", min_length=2
    )
    along: str | dict[str, tuple[Scalar, ...]] | None = Field(
        None, description="The factor (or step) that a trend follows, or {factor: [levels in order]}."
    )
    trend: Trend | None = Field(
        None,
        description="Claimed along `along`: `rises`, `falls` overall (the slope over the order of the levels), "
        "`… at every step`, or `never …`, which tolerates changes up to `by`.",
    )
    where: ClaimSelector = Field({}, description="Restricts all sides.")
    for_each: Names = Field((), description="Decide once per level of these factors, or per measure.")
    published: str | None = Field(None, description="What the paper reports, shown beside the verdict.")

    @model_validator(mode="before")
    @classmethod
    def _shorthands(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        changed = dict(value)
        limits = value.get("between")
        if isinstance(limits, tuple) and all(_is_number(x) for x in limits):
            changed["between"] = tuple(float(x) for x in limits)
        return changed

    @model_validator(mode="after")
    def _one_comparison(self) -> ClaimSpec:
        given = [k for k in COMPARISONS if getattr(self, k) is not None]
        if len(given) != 1:
            raise ValueError(
                f"a claim needs exactly one of {', '.join(COMPARISONS)}; got {', '.join(given) or 'none'}\n"
                f"{'Keep one of them.' if given else 'Add one of them.'}"
            )
        kind = given[0]
        takes_by = kind in ("above", "below") or (self.trend or "").startswith("never")
        if (self.by and not takes_by) or (self.times is not None and kind not in ("above", "below")):
            raise ValueError(
                "by and times belong to above and below (by also to `never rises`, `never falls`)"
            )
        if self.by and self.times is not None:
            raise ValueError("give by (a difference) or times (a ratio), not both")
        if (self.along is None) != (self.trend is None):
            raise ValueError("along and trend belong together\nGive both or none.")
        if (self.trend or "").startswith("never") and self.by < 0:
            raise ValueError("by of a trend is a tolerance: a positive number")
        if sum(x is not None for x in (self.minus, self.relative_to, self.first)) > 1:
            raise ValueError("give one of minus, relative_to and first\nKeep one of them.")
        changed = self.minus is not None or self.relative_to is not None or self.first is not None
        if self.times is not None and changed:
            raise ValueError(
                "times compares plain values; with minus, relative_to or first compare by a number"
            )
        if self.matched is not None and (kind not in ("above", "below") or changed or self.times is not None):
            raise ValueError("matched belongs to above and below of plain values")
        if self.between is not None and self.between[0] >= self.between[1]:
            raise ValueError("between is empty\nWrite [low, high].")
        if "of" not in self.model_fields_set and self._needs_cells(kind):
            raise ValueError(
                "a claim needs `of`: the cells that it is about\nAdd it; {} stands for all cells."
            )
        return self

    def _needs_cells(self, kind: str) -> bool:
        is_data = isinstance(self.metric, str) and self.metric.startswith("data.")
        return kind not in ("order", "trend") and self.first is None and not is_data


__all__ = ["COMPARISONS", "ClaimSelector", "ClaimSpec", "FirstSpec", "MetricSpec", "Selector", "Trend"]
