"""What a response is measured by: the metrics of a study by name, with their units and their wording.

accuracy (avg@k), pass@K, tokens, truncated, token_efficiency, and ANALYSIS.column for every column of an
analysis. A metric is one value per problem of one policy, so that everything else is one estimator.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from pipeline.errors import InputError, suggest
from pipeline.report.artifacts import Means
from pipeline.stats import Array, pass_at_k

UnitKind = Literal["share", "tokens", "number", "efficiency"]
BUILT_IN = ("accuracy", "tokens", "truncated", "token_efficiency")


@dataclass(frozen=True)
class Metric:
    """A metric's name, the words of its axis, its unit, and the analysis that its column comes from."""

    name: str
    label: str
    unit: UnitKind
    analysis: str | None = None

    def per_problem(self, means: Means) -> Array:
        """One value per problem (NaN where nothing was measured); token_efficiency is linear in two columns."""
        if self.name == "accuracy":
            return means.columns["correct"]
        if self.name.startswith("pass@"):
            k = int(self.name[5:])
            rights = np.rint(means.columns["correct"] * means.samples).astype(int)
            return np.array(
                [pass_at_k(int(n), int(c), k) for n, c in zip(means.samples, rights, strict=True)]
            )
        if self.name == "token_efficiency":
            return means.columns["correct"] + 1j * means.columns["tokens"]
        try:
            return means.columns[self.name]
        except KeyError:
            raise InputError(
                f"the metric {self.name!r} has no column", suggest(self.name, means.columns)
            ) from None

    def is_share(self, means: Means) -> bool:
        """Whether the values are shares between 0 and 1."""
        return self.unit == "share" or self.name in means.shares


def parse_metric(name: str) -> Metric:
    """The metric of a name; InputError with the nearest known one."""
    if name == "accuracy":
        return Metric(name, "accuracy", "share")
    if name == "tokens":
        return Metric(name, "response length", "tokens")
    if name == "truncated":
        return Metric(name, "cut off", "share")
    if name == "token_efficiency":
        return Metric(name, "right answers per 1,000 tokens", "efficiency")
    if name.startswith("pass@") and name[5:].isdigit() and int(name[5:]) > 0:
        return Metric(name, name, "share")
    analysis, dot, column = name.partition(".")
    if dot and analysis and column:
        return Metric(name, f"{column.replace('_', ' ')} ({analysis})", "number", analysis)
    raise InputError(f"metric {name!r} is unknown", suggest(name, [*BUILT_IN, "pass@1"]))


def linearise_ratio(values: Array) -> Array:
    """Correct + i·tokens per (replicate, problem) → values whose mean is Σ correct / Σ tokens (delta method).

    The first-order expansion r + (x − r·y) / mean(y) around r = mean(x) / mean(y); its mean is r exactly, and
    its spread is the delta-method variance of the ratio of means (Casella & Berger 2002, section 5.5.4).
    """
    right, tokens = values.real, np.maximum(values.imag, 0.0)
    mean_tokens = float(tokens.mean())
    if mean_tokens <= 0:
        return np.zeros(values.shape)
    ratio = float(right.mean()) / mean_tokens
    return ratio + (right - ratio * tokens) / mean_tokens


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
