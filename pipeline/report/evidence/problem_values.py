"""A metric as values per problem, read from the responses of a unit.

A metric is one value per problem of one policy, so that everything else is one estimator; ratios and deviations of
pooled responses are linearised around their value (delta method), which keeps that value exactly.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from pipeline.errors import InputError, suggest
from pipeline.report.evidence.derived_columns import add_column, vote
from pipeline.report.evidence.results import Means, Store, average_rows
from pipeline.request.metrics import (
    AnalysisMean,
    Column,
    Condition,
    Conditional,
    OfResponses,
    OfSamples,
    ResponseMean,
    RewardValue,
    TokenEfficiency,
)
from pipeline.request.units import Unit
from pipeline.verdicts.paired import Array, pass_at_k


def tabulate(metric: OfResponses, unit: Unit, store: Store) -> tuple[Means, list[Array]]:
    """The unit's problems, and the columns (one value per problem each) that the metric is made from.

    NaN where nothing was measured of a problem.
    """
    if isinstance(metric, Conditional):
        return _tabulate_conditional(metric, unit, store)
    means = store.means(unit, metric.needs)
    match metric:
        case OfSamples(statistic="maj"):
            return means, [vote(store.rows(unit), means.problems, metric.k)]
        case OfSamples():
            rights = np.rint(means.columns["correct"] * means.samples).astype(int)
            pairs = zip(means.samples, rights, strict=True)
            return means, [np.array([pass_at_k(int(n), int(c), metric.k) for n, c in pairs])]
        case TokenEfficiency():
            return means, [means.columns["correct"], means.columns["tokens"]]
        case ResponseMean() | AnalysisMean():
            return means, [_find(metric.column, means)]


def _find(column: Column, means: Means) -> Array:
    try:
        return means.columns[column.spelling]
    except KeyError:
        what = f"the metric {column.spelling!r} has no column"
        raise InputError(what, suggest(column.spelling, means.columns)) from None


def is_measured(metric: OfResponses, unit: Unit, store: Store) -> bool:
    """Whether all that a metric reads of a unit is there: scores, analyses, for a reward's value the responses."""
    is_of_reward = isinstance(metric, Conditional) and isinstance(metric.column, RewardValue)
    if is_of_reward and store.find(unit.completions) is None:
        return False
    return store.has(unit, metric.needs)


def is_bounded(metric: OfResponses, means: Means) -> bool:
    """Whether the values are shares between 0 and 1, one per problem."""
    if isinstance(metric, Conditional):
        return False
    is_yes_or_no = isinstance(metric, AnalysisMean) and metric.column.spelling in means.shares
    return metric.unit == "share" or is_yes_or_no


def linearise(columns: Sequence[Array]) -> Array:
    """Values per (replicate, problem) whose mean is the metric, from those of its columns."""
    if len(columns) == 1:
        return columns[0]
    return linearise_ratio(*columns) if len(columns) == 2 else linearise_deviation(*columns)


def _tabulate_conditional(metric: Conditional, unit: Unit, store: Store) -> tuple[Means, list[Array]]:
    """Per problem the means of 1[held]·x (and ·x²) and of 1[held], over all its responses."""
    rows = store.rows(unit, metric.needs)
    rows = rows.rename({"correct": "accuracy"}).with_columns(correct=pl.col("accuracy"))
    for column in (metric.column, *(condition.column for condition in metric.conditions)):
        rows = add_column(rows, column, unit, store)
    x = pl.col(metric.column.spelling).cast(pl.Float64)
    conditions = [_holds(condition) for condition in metric.conditions]
    held = pl.all_horizontal(*conditions, x.is_not_null(), x.is_not_nan()).fill_null(False)
    value = pl.when(held).then(x).otherwise(0.0)
    means = average_rows(rows.select("problem_id", held=held, first=value, second=value * value))
    names = ["first", "held"] if metric.statistic == "mean" else ["second", "first", "held"]
    return means, [means.columns[name] for name in names]


def _holds(condition: Condition) -> pl.Expr:
    column, wanted = pl.col(condition.column.spelling), condition.wanted
    return column == wanted if isinstance(wanted, bool) else column.is_between(*wanted)


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
