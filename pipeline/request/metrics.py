"""What is measured: the metrics of a study, parsed once by the planner and carried typed to the page.

Of responses: accuracy (avg@k), tokens, truncated, token_efficiency, pass@K, maj@K, ANALYSIS.column, and the mean or
the standard deviation of a column over a part of them. Of logs and records: training.COLUMN, data.NAME.COUNT.

Guaranteed: `name` is the metric as the study writes it, the same for equal metrics; the kinds, their units and the
words of their axes stand here and in `logged`, and nowhere else. Nothing here knows a study: whether it measures
such a thing, the planner checks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Discriminator

from pipeline.request.logged import LOGGED, UnitKind
from pipeline.request.strict import Strict

Needs = tuple[str, ...]
"""Names of the analyses whose columns a metric reads."""


@dataclass(frozen=True, kw_only=True)
class Column(Strict):
    """A column of the responses: one that all of them have, or one of an analysis."""

    name: str
    analysis: str = ""
    kind: Literal["column"] = "column"

    @property
    def spelling(self) -> str:
        """As a study writes it, and as the table of responses calls it."""
        return f"{self.analysis}.{self.name}" if self.analysis else self.name


@dataclass(frozen=True, kw_only=True)
class RewardValue(Strict):
    """The value that a reward gives to a response."""

    reward: str
    params: Mapping[str, Any] = field(default_factory=dict, hash=False)
    kind: Literal["reward"] = "reward"

    @property
    def spelling(self) -> str:
        """As a study writes it, without the parameters."""
        return f"reward.{self.reward}"


@dataclass(frozen=True, kw_only=True)
class Condition(Strict):
    """Which responses count: those whose column is true, false, or within a closed range (low, high)."""

    column: Column
    wanted: bool | tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class ResponseMean(Strict):
    """The mean of what is known of every response."""

    name: Literal["accuracy", "tokens", "truncated"]
    kind: Literal["response"] = "response"
    needs: ClassVar[Needs] = ()

    @property
    def column(self) -> Column:
        """The column that is averaged."""
        return Column(name="correct" if self.name == "accuracy" else self.name)

    @property
    def label(self) -> str:
        """The words of its axis."""
        return {"accuracy": "accuracy", "tokens": "response length", "truncated": "cut off"}[self.name]

    @property
    def unit(self) -> UnitKind:
        """What its values are."""
        return "tokens" if self.name == "tokens" else "share"


@dataclass(frozen=True, kw_only=True)
class TokenEfficiency(Strict):
    """Right answers per token: the ratio of the means of correct and tokens."""

    name: Literal["token_efficiency"] = "token_efficiency"
    kind: Literal["efficiency"] = "efficiency"
    label: ClassVar[str] = "right answers per 1,000 tokens"
    unit: ClassVar[UnitKind] = "efficiency"
    needs: ClassVar[Needs] = ()


@dataclass(frozen=True, kw_only=True)
class OfSamples(Strict):
    """pass@k (any of k samples is right) or maj@k (their most frequent answer is), over subsets of the samples."""

    statistic: Literal["pass", "maj"]
    k: int
    name: str
    """As the study writes it: pass@08 is 8 samples, too, and has its own column."""
    kind: Literal["samples"] = "samples"
    unit: ClassVar[UnitKind] = "share"
    needs: ClassVar[Needs] = ()

    @property
    def label(self) -> str:
        """The words of its axis."""
        return self.name


@dataclass(frozen=True, kw_only=True)
class AnalysisMean(Strict):
    """The mean of a column of an analysis.

    Whether the column holds yes and no is known where it is read: there `unit` becomes a share. It is no part of what
    is asked for, so two that differ in it alone are equal.
    """

    column: Column
    unit: UnitKind = field(default="number", compare=False)
    kind: Literal["analysis"] = "analysis"

    @property
    def name(self) -> str:
        """ANALYSIS.column."""
        return self.column.spelling

    @property
    def label(self) -> str:
        """The words of its axis."""
        return f"{self.column.name.replace('_', ' ')} ({self.column.analysis})"

    @property
    def needs(self) -> Needs:
        """Its analysis."""
        return (self.column.analysis,)


@dataclass(frozen=True, kw_only=True)
class Conditional(Strict):
    """The mean or the standard deviation of a column over the pooled responses that meet all conditions."""

    name: str
    statistic: Literal["mean", "sd"]
    column: Annotated[Column | RewardValue, Discriminator("kind")]
    conditions: tuple[Condition, ...] = ()
    kind: Literal["conditional"] = "conditional"

    @property
    def label(self) -> str:
        """The words of its axis."""
        return self.name

    @property
    def unit(self) -> UnitKind:
        """That of its column."""
        if self.column.spelling == "tokens":
            return "tokens"
        is_share = self.column.spelling in ("correct", "accuracy", "truncated") and self.statistic == "mean"
        return "share" if is_share else "number"

    @property
    def needs(self) -> Needs:
        """The analyses of its column and of its conditions."""
        columns = (self.column, *(condition.column for condition in self.conditions))
        found = [column.analysis for column in columns if isinstance(column, Column) and column.analysis]
        return tuple(dict.fromkeys(found))


@dataclass(frozen=True, kw_only=True)
class Logged(Strict):
    """A column of the log of trainings."""

    column: str
    kind: Literal["training"] = "training"

    @property
    def name(self) -> str:
        """training.COLUMN."""
        return f"training.{self.column}"

    @property
    def label(self) -> str:
        """The words of its axis."""
        return f"{self.column.replace('_', ' ')} while training"

    @property
    def unit(self) -> UnitKind:
        """What its values are."""
        return LOGGED[self.column].unit


@dataclass(frozen=True, kw_only=True)
class Count(Strict):
    """A count in the record of a data set, as a share of what came in."""

    data: str
    fact: str
    kind: Literal["data"] = "data"
    unit: ClassVar[UnitKind] = "share"

    @property
    def name(self) -> str:
        """data.NAME.COUNT."""
        return f"data.{self.data}.{self.fact}"

    @property
    def label(self) -> str:
        """The words of its axis."""
        return f"share of rows, {self.data}.{self.fact}"


OfResponses = ResponseMean | TokenEfficiency | OfSamples | AnalysisMean | Conditional
"""One value per problem of one policy; the others are read from logs and records."""
AnyMetric = OfResponses | Logged | Count

ResponseMetric = Annotated[OfResponses, Discriminator("kind")]
Metric = Annotated[AnyMetric, Discriminator("kind")]
"""The same two, as fields of a request."""

ACCURACY, TOKENS, TRUNCATED = (
    ResponseMean(name="accuracy"),
    ResponseMean(name="tokens"),
    ResponseMean(name="truncated"),
)
BUILT_IN: Mapping[str, OfResponses] = {
    metric.name: metric for metric in (ACCURACY, TOKENS, TRUNCATED, TokenEfficiency())
}
COLUMNS = ("correct", "accuracy", "tokens", "truncated")
"""The columns of every response that conditions and their metrics may name."""


def parse_metric(name: str) -> AnyMetric | None:
    """The metric that a name spells, whether or not a study has it; None where it spells none."""
    if name in BUILT_IN:
        return BUILT_IN[name]
    before, at, k = name.partition("@")
    statistic: Literal["pass", "maj"] | None = (
        "pass" if before == "pass" else "maj" if before == "maj" else None
    )
    if at and statistic is not None:
        is_number = k.isascii() and k.isdigit() and int(k) > 0
        return OfSamples(statistic=statistic, k=int(k), name=name) if is_number else None
    family, _, rest = name.partition(".")
    if family == "training":
        return Logged(column=rest) if rest in LOGGED else None
    if family == "data":
        data, _, fact = rest.partition(".")
        return Count(data=data, fact=fact) if data and fact else None
    return AnalysisMean(column=Column(name=rest, analysis=family)) if family and rest else None


def parse_column(name: str, params: Mapping[str, Any] | None = None) -> Column | RewardValue:
    """The column that a name spells: reward.NAME, ANALYSIS.column, or one of the responses' own."""
    family, dot, rest = name.partition(".")
    if dot and family == "reward":
        return RewardValue(reward=rest, params=dict(params or {}))
    return Column(name=rest, analysis=family) if dot and family else Column(name=name)
