"""Estimates with intervals on paired evaluation data: problems crossed with replicates.

The model (two-way random effects): y[r, p] = mu + R_r + P_p + E_rp, where r is a training seed, p a problem
and y the mean over the samples of (r, p). A contrast is paired: differences are taken per problem, and per
replicate where both sides have the same replicates (Miller 2024, arXiv:2411.00640, sections 2 and 4, for
paired and clustered evaluations; Searle, Casella & McCulloch 1992, Variance Components, chapter 4, for the
mean squares of the crossed model; Satterthwaite 1946, Biometrics Bulletin 2:110, for the degrees of freedom).

Guaranteed: several measures are averaged with equal weight (macro mean), their problems independent, their
replicates shared. A variance component estimated below zero counts as zero, which widens the interval.
With one replicate only problems vary; the caller says what that leaves out (`claims.describe_scope`).
With two, the replicates keep their own t quantile (`intervals`), as Satterthwaite's would be too small.
Refused: an empty side (EmptySideError), a measure whose two sides have no problem in common.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.errors import InputError
from pipeline.intervals import LEVEL, Estimate, Term

MIN_INFORMATIVE = 5
"""Problems that must differ from the usual value before a normal approximation of a share is trusted."""

Array = np.ndarray[Any, np.dtype[np.float64]]


class EmptySideError(InputError):
    """No response on one side has a value of the metric."""


@dataclass(frozen=True)
class Panel:
    """One measure on one side: values[replicate, problem], complete, each the mean over samples."""

    measure: str
    problems: tuple[str, ...]
    values: Array


@dataclass(frozen=True)
class Side:
    """One side of a contrast: panels that share replicates; `trained` says whether seeds could matter."""

    panels: tuple[Panel, ...]
    replicates: tuple[int, ...]
    trained: bool = True
    bounded: bool = False

    def __post_init__(self) -> None:
        if not self.panels or any(panel.values.size == 0 for panel in self.panels):
            raise EmptySideError("no problem has a value", "Score at least one response for it.")


def estimate_mean(side: Side) -> Estimate:
    """The macro mean of one side (Wilson intervals for shares, with the effective sample size)."""
    return _combine(side, None, 1.0)


def estimate_contrast(left: Side, right: Side, *, times: float = 1.0) -> Estimate:
    """The linear contrast a − times·b, paired by problem and, where both sides have them, by replicate."""
    return _combine(left, right, times)


def estimate_ratio(left: Side, right: Side, *, level: float = LEVEL) -> tuple[float, float, float]:
    """a / b with Fieller's interval: all c ≥ 0 whose contrast a − c·b does not differ from zero.

    Fieller 1954, JRSS B 16:175. The upper limit is infinite where b itself may be zero.
    """
    top, bottom = estimate_mean(left).value, estimate_mean(right).value
    if bottom <= 0:
        return math.nan, 0.0, math.inf
    ratio = top / bottom

    def is_outside(c: float) -> bool:
        low, high = estimate_contrast(left, right, times=c).interval(level)
        return not low <= 0 <= high

    return ratio, _bisect(is_outside, ratio, 0.0), _bisect(is_outside, ratio, 1e3 * max(ratio, 1.0))


def _bisect(is_outside: Any, inside: float, far: float) -> float:
    if not is_outside(far):
        return 0.0 if far == 0 else math.inf
    for _ in range(40):
        middle = (inside + far) / 2
        inside, far = (inside, middle) if is_outside(middle) else (middle, far)
    return (inside + far) / 2


def _combine(left: Side, right: Side | None, times: float) -> Estimate:
    paired = right is not None and len(left.replicates) > 1 and left.replicates == right.replicates
    blocks = _weighted_blocks(left, right, times)
    notes: list[str] = []
    terms: list[Term] = []
    value = 0.0
    for a, b in blocks.values():
        per_problem = sum(block.mean(axis=0) for block in (a, b) if block is not None)
        value += float(per_problem.mean())
        terms.append(
            _problem_term(per_problem, scale=_scale(left, right, times), bounded=left.bounded, notes=notes)
        )
    few: list[Term] = []
    groups = (
        [[_sum_blocks(a, b) for a, b in blocks.values()]] if paired else zip(*blocks.values(), strict=True)
    )
    for group in groups:
        between, errors = _replicate_terms([block for block in group if block is not None])
        if between is not None:
            (few if between.df < 2 else terms).append(between)
            terms += errors
    sizes = [(a if a is not None else b).shape[1] for a, b in blocks.values()]
    share_n = (
        _effective_problems(value, [*terms, *few], sizes, few=bool(notes))
        if right is None and left.bounded
        else None
    )
    n_replicates = min((len(side.replicates) for side in (left, right) if side and side.trained), default=1)
    return Estimate(
        value, tuple(terms), sum(sizes), n_replicates, share_n, tuple(dict.fromkeys(notes)), tuple(few)
    )


def _weighted_blocks(
    left: Side, right: Side | None, times: float
) -> dict[str, tuple[Array | None, Array | None]]:
    """Per measure both sides' weighted values on the problems that both have; their sum is the contrast."""
    blocks: dict[str, tuple[Array | None, Array | None]] = {}
    others = {panel.measure: panel for panel in right.panels} if right else {}
    b_weight = -times / len(others) if others else 0.0
    for panel in left.panels:
        other = others.pop(panel.measure, None)
        a, b = panel.values, None
        if other is not None:
            same = panel.problems == other.problems
            common = list(panel.problems) if same else sorted(set(panel.problems) & set(other.problems))
            if not common:
                raise InputError(
                    f"{panel.measure}: the two sides have no problem in common",
                    "Compare cells measured alike.",
                )
            a, b = _pick(panel, common), b_weight * _pick(other, common)
        blocks[panel.measure] = (a / len(left.panels), b)
    for measure, other in others.items():
        blocks[measure] = (None, b_weight * other.values)
    return blocks


def _pick(panel: Panel, problems: list[str]) -> Array:
    if tuple(problems) == panel.problems:
        return panel.values
    place = {problem: i for i, problem in enumerate(panel.problems)}
    return panel.values[:, [place[problem] for problem in problems]]


def _sum_blocks(a: Array | None, b: Array | None) -> Array:
    if a is None or b is None:
        return a if b is None else b
    return a + b


def _scale(left: Side, right: Side | None, times: float) -> float:
    """The largest possible change of one problem's contrast of shares, in either direction."""
    return max(1 / len(left.panels), abs(times) / len(right.panels) if right else 0.0)


def _problem_term(per_problem: Array, *, scale: float, bounded: bool, notes: list[str]) -> Term:
    """S²/P. For shares of which fewer than five problems differ, at least Agresti & Min's variance.

    Agresti & Min 2005, Statistics in Medicine 24:729: two pseudo-problems, one each way.
    """
    count = per_problem.size
    if count < 2:
        notes.append("one problem only: nothing can be said about other problems")
        return Term(math.inf, 1.0)
    variance = float(per_problem.var(ddof=1)) / count
    if bounded and np.sum(np.abs(per_problem - np.median(per_problem)) > 1e-9) < MIN_INFORMATIVE:
        notes.append(f"fewer than {MIN_INFORMATIVE} problems differ: the interval is widened")
        variance = max(variance, (scale / (count + 2)) ** 2)
    return Term(variance, count - 1)


def _replicate_terms(blocks: list[Array]) -> tuple[Term | None, list[Term]]:
    """S²_g/R of the replicate means g of the summed blocks, and −MS_E/(R·P) of each block.

    None with one replicate, and with three or more where the component is estimated below zero; with two,
    too little is known to call it zero.
    """
    if not blocks or blocks[0].shape[0] < 2:
        return None, []
    replicates = blocks[0].shape[0]
    means = sum(block.mean(axis=1) for block in blocks)
    between = Term(float(means.var(ddof=1)) / replicates, replicates - 1)
    errors = []
    for block in (block for block in blocks if block.shape[1] > 1):
        residual = block - block.mean(axis=0) - block.mean(axis=1, keepdims=True) + block.mean()
        df = (replicates - 1) * (block.shape[1] - 1)
        errors.append(Term(-float((residual**2).sum()) / df / block.size, df))
    is_positive = between.variance + sum(error.variance for error in errors) > 0
    return (between, errors) if is_positive or replicates == 2 else (None, [])


def _effective_problems(value: float, terms: list[Term], sizes: list[int], *, few: bool) -> float:
    """n with p(1−p)/n = variance (Dean & Pagano 2015, JSSAM 3:484); else the number of problems."""
    actual = len(sizes) ** 2 / sum(1 / size for size in sizes)
    variance = sum(term.variance for term in terms)
    if few or variance <= 0 or not 0 < value < 1 or not math.isfinite(variance):
        return actual
    return value * (1 - value) / variance


def pass_at_k(samples: int, correct: int, k: int) -> float:
    """The unbiased estimate 1 − C(n−c, k) / C(n, k) (Chen et al. 2021, arXiv:2107.03374); k ≤ n."""
    if not 1 <= k <= samples:
        raise InputError(
            f"pass@{k} needs at least {k} samples per problem, not {samples}", "Sample more, or lower k."
        )
    return 1.0 - math.comb(samples - correct, k) / math.comb(samples, k)
