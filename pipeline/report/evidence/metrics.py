"""What a response is measured by: the metrics of a study by name, with their units and their wording.

accuracy (avg@k), pass@K, maj@K, tokens, truncated, token_efficiency, ANALYSIS.column for every column of an
analysis, and mean or sd of a column over the responses that meet conditions. A metric is one value per problem
of one policy, so that everything else is one estimator; ratios and deviations of pooled responses are
linearised around their value (delta method), which keeps that value exactly.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl

from pipeline.errors import InputError, suggest
from pipeline.report.evidence.derived_columns import add_column, vote
from pipeline.report.evidence.results import Means, Store, average_rows
from pipeline.request.request import GivenMetric, Unit
from pipeline.verdicts.paired import Array, pass_at_k

UnitKind = Literal["share", "tokens", "number", "efficiency", "levels"]
BUILT_IN = ("accuracy", "tokens", "truncated", "token_efficiency")
CURVES = {
    "reward": r"reward",
    "accuracy_reward": r"(rewards?/)?accuracy\w*(/mean)?",
    "tokens": r"(completions?/mean_length|completion_length|length)",
    "truncated": r"(completions?/clipped_ratio|truncated|clip_ratio)",
    "kl": r"kl",
    "loss": r"loss",
    "token_accuracy": r"mean_token_accuracy",
}
"""training.NAME → the names under which trainers log the quantity (matched whole, in this order)."""


@dataclass(frozen=True)
class Metric:
    """A metric's name, the words of its axis, its unit, and the analyses that its columns come from."""

    name: str
    label: str
    unit: UnitKind
    needs: tuple[str, ...] = ()
    given: GivenMetric | None = None

    def tabulate(self, unit: Unit, store: Store) -> tuple[Means, list[Array]]:
        """The unit's problems, and the columns (one value per problem each) that the metric is made from."""
        if self.given is not None:
            return _tabulate_given(self.given, unit, store, self.needs)
        means = store.means(unit, self.needs)
        if self.name.startswith("maj@"):
            return means, [vote(store.rows(unit), means.problems, int(self.name[4:]))]
        if self.name == "token_efficiency":
            return means, [means.columns["correct"], means.columns["tokens"]]
        return means, [self.per_problem(means)]

    def per_problem(self, means: Means) -> Array:
        """One value per problem, NaN where nothing was measured."""
        if self.name == "accuracy":
            return means.columns["correct"]
        if self.name.startswith("pass@"):
            k = int(self.name[5:])
            rights = np.rint(means.columns["correct"] * means.samples).astype(int)
            return np.array(
                [pass_at_k(int(n), int(c), k) for n, c in zip(means.samples, rights, strict=True)]
            )
        try:
            return means.columns[self.name]
        except KeyError:
            raise InputError(
                f"the metric {self.name!r} has no column", suggest(self.name, means.columns)
            ) from None

    def linearise(self, columns: Sequence[Array]) -> Array:
        """Values per (replicate, problem) whose mean is the metric, from those of its columns."""
        if len(columns) == 1:
            return columns[0]
        return linearise_ratio(*columns) if len(columns) == 2 else linearise_deviation(*columns)

    def is_share(self, means: Means) -> bool:
        """Whether the values are shares between 0 and 1, one per problem."""
        return self.given is None and (self.unit == "share" or self.name in means.shares)


def parse_metric(name: str, given: Mapping[str, GivenMetric] | None = None) -> Metric:
    """The metric of a name; InputError with the nearest known one."""
    if given and name in given:
        return _describe_given(name, given[name])
    if name == "accuracy":
        return Metric(name, "accuracy", "share")
    if name == "tokens":
        return Metric(name, "response length", "tokens")
    if name == "truncated":
        return Metric(name, "cut off", "share")
    if name == "token_efficiency":
        return Metric(name, "right answers per 1,000 tokens", "efficiency")
    vote_or_pass, _, k = name.partition("@")
    if vote_or_pass in ("pass", "maj") and k.isdigit() and int(k) > 0:
        return Metric(name, name, "share")
    family, dot, column = name.partition(".")
    if family == "training" and column in CURVES:
        unit = {"tokens": "tokens", "truncated": "share", "accuracy_reward": "share"}.get(column, "number")
        return Metric(name, f"{column.replace('_', ' ')} while training", unit)
    if family == "data" and column:
        return Metric(name, f"share of rows, {column}", "share")
    if dot and family and column:
        return Metric(name, f"{column.replace('_', ' ')} ({family})", "number", (family,))
    raise InputError(f"metric {name!r} is unknown", suggest(name, [*BUILT_IN, "pass@1", "maj@1"]))


def _describe_given(name: str, given: GivenMetric) -> Metric:
    columns = [given.column, *given.given]
    needs = {c.partition(".")[0]: None for c in columns if "." in c and not c.startswith("reward.")}
    unit = "tokens" if given.column == "tokens" else "number"
    if given.column in ("correct", "accuracy", "truncated") and given.statistic == "mean":
        unit = "share"
    return Metric(name, name, unit, tuple(needs), given)


def _tabulate_given(
    given: GivenMetric, unit: Unit, store: Store, needs: Sequence[str]
) -> tuple[Means, list[Array]]:
    """Per problem the means of 1[given]·x (and ·x²) and of 1[given], over all its responses."""
    rows = store.rows(unit, needs).rename({"correct": "accuracy"}).with_columns(correct=pl.col("accuracy"))
    rows = add_column(rows, given.column, given.params, unit, store)
    for column in given.given:
        rows = add_column(rows, column, {}, unit, store)
    conditions = [
        (pl.col(column) == wanted)
        if isinstance(wanted, bool)
        else pl.col(column).is_between(wanted[0], wanted[1])
        for column, wanted in given.given.items()
    ]
    x = pl.col(given.column).cast(pl.Float64)
    held = pl.all_horizontal(*conditions, x.is_not_null(), x.is_not_nan()).fill_null(False)
    value = pl.when(held).then(x).otherwise(0.0)
    sums = rows.select("problem_id", held=held, first=value, second=value * value)
    means = average_rows(sums)
    names = ["first", "held"] if given.statistic == "mean" else ["second", "first", "held"]
    return means, [means.columns[name] for name in names]


def linearise_ratio(top: Array, bottom: Array) -> Array:
    """Two columns per (replicate, problem) → values whose mean is Σ top / Σ bottom (delta method).

    The first-order expansion r + (x − r·y) / mean(y) around r = mean(x) / mean(y); its mean is r exactly, and
    its spread is the delta-method variance of the ratio of means (Casella & Berger 2002, section 5.5.4).
    No column at all where the bottom is zero everywhere: there is nothing to average.
    """
    below = np.maximum(bottom, 0.0)
    mean = float(below.mean()) if below.size else 0.0
    if mean <= 0:
        return top[:, :0]
    ratio = float(top.mean()) / mean
    return ratio + (top - ratio * below) / mean


ROUNDING = 1e-12
"""A variance smaller than this share of the mean square is that of equal values."""


def linearise_deviation(second: Array, first: Array, held: Array) -> Array:
    """Sums of x², x and 1 → values whose mean is the standard deviation of x over the pooled responses.

    Population deviation s = √(m₂ − m₁²); expansion s + (x² − 2·m₁·x + (m₁² − s²)·1) / (2·s·mean(1)).
    """
    mean = float(held.mean()) if held.size else 0.0
    if mean <= 0:
        return first[:, :0]
    m1, m2 = float(first.mean()) / mean, float(second.mean()) / mean
    variance = m2 - m1 * m1
    if variance <= ROUNDING * m2:
        return np.zeros(first.shape)
    deviation = float(np.sqrt(variance))
    return deviation + (second - 2 * m1 * first + (m1 * m1 - variance) * held) / (2 * deviation * mean)


def format_value(value: float, unit: UnitKind, *, signed: bool = False) -> str:
    """A value with the digits that a reader needs: 43.2 %, 1,405, 0.31."""
    sign = "+" if signed else ""
    if not np.isfinite(value):
        return "∞" if value > 0 else "−∞" if value < 0 else "–"
    if unit == "share":
        text = f"{100 * value:{sign}.1f}" + (" pp" if signed else " %")
    elif unit == "tokens":
        text = f"{value:{sign},.0f}" if abs(value) >= 100 else f"{value:{sign}.1f}"
    elif unit == "efficiency":
        text = f"{1000 * value:{sign}.2f}"
    else:
        text = f"{value:{sign}.3g}"
    return text.replace("-", "−")
