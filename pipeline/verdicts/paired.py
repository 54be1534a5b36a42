"""Estimates with intervals on paired evaluation data: problems crossed with replicates.

The model (two-way random effects): y[r, p] = mu + R_r + P_p + E_rp, where r is a training seed, p a problem
and y the mean over the samples of (r, p). A contrast is paired: differences are taken per problem, and per
replicate where both sides have the same replicates (Miller 2024, arXiv:2411.00640, sections 2 and 4, for
paired and clustered evaluations; Searle, Casella & McCulloch 1992, Variance Components, chapter 4, for the
mean squares of the crossed model; Satterthwaite 1946, Biometrics Bulletin 2:110, for the degrees of freedom).

Guaranteed: several measures are averaged with equal weight (macro mean), their problems independent (but for
measures of the same problems, which are paired), their replicates shared. A variance component estimated below zero counts as zero (that of four or more replicates).
With one replicate only problems vary; the caller says what that leaves out (`decide.describe_scope`).
With two or three, the replicates keep their own t quantile (`intervals`): Satterthwaite's would be too small.
Refused (EmptySideError): a side without any value, a measure whose two sides have no problem in common.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from pipeline.errors import InputError
from pipeline.verdicts.intervals import Estimate, Term

NEGLIGIBLE = 1e-9
"""Spread relative to the largest value that is rounding, not spread."""

MIN_INFORMATIVE = 5
"""Problems that must differ from the usual value before a normal approximation of a share is trusted."""

MOST_FEW_DF = 2
"""Degrees of freedom of replicates up to which they keep their own quantile."""

ONE_PROBLEM = "one problem only: nothing can be said about other problems"

Array = npt.NDArray[np.float64]


class EmptySideError(InputError):
    """There is nothing to estimate: no value on one side, or no problem with a value on both."""


@dataclass(frozen=True)
class Panel:
    """One measure on one side: values[replicate, problem], complete, each the mean over samples."""

    measure: str
    problems: tuple[str, ...]
    values: Array
    is_sample: bool = True
    """Whether its problems stand for others; where not, only replicates vary."""
    n_informative: int | None = None
    """Of a metric over a part of the responses: how many problems have such a response; None: all."""


@dataclass(frozen=True)
class Side:
    """One side of a contrast: panels that share replicates; `trained` says whether seeds could matter."""

    panels: tuple[Panel, ...]
    replicates: tuple[int, ...]
    trained: bool = True
    bounded: bool = False
    scope: str = ""
    """What the values stand for, where they are no responses to problems."""

    def __post_init__(self) -> None:
        if not self.panels or any(panel.values.size == 0 for panel in self.panels):
            raise EmptySideError("no problem has a value", "Score at least one response for it.")


Terms = Sequence[tuple[float, Side]]
"""A weighted sum of the means of sides."""


def estimate_mean(side: Side) -> Estimate:
    """The macro mean of one side (Wilson intervals for shares, with the effective sample size)."""
    return estimate_linear(((1.0, side),))


def estimate_contrast(left: Side, right: Side, *, times: float = 1.0) -> Estimate:
    """The linear contrast a − times·b, paired by problem and, where both sides have them, by replicate."""
    return estimate_linear(((1.0, left), (-times, right)))


def estimate_linear(terms: Terms) -> Estimate:
    """A weighted sum of means, paired by problem over all sides and by replicate over those that share them."""
    blocks = _weighted_blocks(terms)
    notes: list[str] = []
    parts: list[Term] = []
    value = 0.0
    scale = max(abs(weight) / len(side.panels) for weight, side in terms)
    bounded = all(side.bounded for _, side in terms)
    least = (NEGLIGIBLE * max(find_magnitude(block) for block in blocks)) ** 2
    for block in blocks:
        per_problem = add_arrays(values.mean(axis=0) for values in block.by_side.values())
        value += float(per_problem.mean())
        if block.is_sample:
            parts.append(_problem_term(per_problem, block, least, scale=scale, bounded=bounded, notes=notes))
    few: list[Term] = []
    trained: list[Term] = []
    for sides in _paired_sides(terms):
        summed = [
            add_arrays(block.by_side[i] for i in sides if i in block.by_side)
            for block in blocks
            if any(i in block.by_side for i in sides)
        ]
        between, errors = _replicate_terms(summed, least)
        if between is not None:
            (few if between.df <= MOST_FEW_DF else trained).append(between)
            trained += errors
    sizes = [block.n_informative for block in blocks if block.is_sample]
    is_share = len(terms) == 1 and terms[0][0] == 1.0 and bounded and bool(sizes)
    share_n = None
    if is_share:
        share_n = _effective_problems(value, [] if notes else parts, [*trained, *few], sizes)
    return Estimate(
        value, (*parts, *trained), sum(sizes), count_replicates(side for _, side in terms), share_n,
        tuple(dict.fromkeys(notes)), tuple(few),
    )  # fmt: skip


def count_replicates(sides: Iterable[Side]) -> int:
    """The fewest replicates of the sides that seeds could change; 1 where there is none."""
    return min((len(side.replicates) for side in sides if side.trained), default=1)


def _paired_sides(terms: Terms) -> list[list[int]]:
    """Indices of the sides that share several replicates, group by group."""
    groups: dict[tuple[int, ...], list[int]] = {}
    for i, (_, side) in enumerate(terms):
        if len(side.replicates) > 1:
            groups.setdefault(side.replicates, []).append(i)
    return list(groups.values())


@dataclass(frozen=True)
class Block:
    """Some problems: side index → values[replicate, problem] on those that all sides with them have.

    `n_informative` of them carry a value on the side that has the fewest.
    """

    by_side: dict[int, Array]
    is_sample: bool
    n_informative: int


def add_arrays(arrays: Iterable[Array]) -> Array:
    """The sum of one or more arrays of one shape."""
    return functools.reduce(np.add, arrays)


def find_magnitude(block: Block) -> float:
    """The largest absolute value of any side."""
    return max(float(np.abs(values).max()) for values in block.by_side.values())


def align_panels(sides: Sequence[Side]) -> list[Block]:
    """The measures of some sides, paired by problem; measures of the same problems (under two prompts) are one block."""
    found: dict[str, dict[int, Panel]] = {}
    for i, side in enumerate(sides):
        for panel in side.panels:
            found.setdefault(panel.measure, {})[i] = panel
    aligned: dict[tuple[str, ...], Block] = {}
    for measure, panels in found.items():
        first, *others = panels.values()
        if all(panel.problems == first.problems for panel in others):
            common = list(first.problems)
        else:
            common = sorted(set(first.problems).intersection(*(panel.problems for panel in others)))
        if not common:
            raise EmptySideError(
                f"no problem of {measure} has a value on both sides", "Compare cells measured alike."
            )
        block = Block(
            {i: _pick(panel, common) for i, panel in panels.items()},
            all(panel.is_sample for panel in panels.values()),
            min((len(common), *(p.n_informative for p in panels.values() if p.n_informative is not None))),
        )
        same = tuple(common)
        aligned[same] = _add_blocks(aligned[same], block) if same in aligned else block
    return list(aligned.values())


def _add_blocks(one: Block, other: Block) -> Block:
    """Two measures of the same problems as one: their difficulty is common to both."""
    by_side = dict(one.by_side)
    for i, values in other.by_side.items():
        by_side[i] = by_side[i] + values if i in by_side else values
    return Block(by_side, one.is_sample and other.is_sample, min(one.n_informative, other.n_informative))


def _weighted_blocks(terms: Terms) -> list[Block]:
    """Per block every side's weighted values; their sum over sides and blocks is the estimate."""

    def weigh(block: Block) -> dict[int, Array]:
        return {i: terms[i][0] / len(terms[i][1].panels) * values for i, values in block.by_side.items()}

    return [replace(block, by_side=weigh(block)) for block in align_panels([side for _, side in terms])]


def _pick(panel: Panel, problems: list[str]) -> Array:
    if tuple(problems) == panel.problems:
        return panel.values
    place = {problem: i for i, problem in enumerate(panel.problems)}
    return panel.values[:, [place[problem] for problem in problems]]


def few_problems_factor(count: int, n_informative: int) -> float:
    """What S²/P, made with P − 1, is multiplied by where only some of the P problems can deviate at all."""
    return n_informative / (n_informative - 1) * (count - 1) / count


def _problem_term(
    per_problem: Array, block: Block, least: float, *, scale: float, bounded: bool, notes: list[str]
) -> Term:
    """S²/P, with the degrees of freedom of the problems that carry a value.

    For shares of which fewer than five problems differ, at least Agresti & Min's variance (2005, Statistics in
    Medicine 24:729: two pseudo-problems, one each way).
    """
    count, n_informative = per_problem.size, block.n_informative
    if n_informative < 2:
        notes.append(ONE_PROBLEM)
        return Term(math.inf, 1.0)
    variance = _find_variance(per_problem, least) / count * few_problems_factor(count, n_informative)
    if bounded and np.sum(np.abs(per_problem - np.median(per_problem)) > 1e-9) < MIN_INFORMATIVE:
        notes.append(f"fewer than {MIN_INFORMATIVE} problems differ: the interval is widened")
        variance = max(variance, (scale / (count + 2)) ** 2)
    return Term(variance, n_informative - 1)


def _find_variance(values: Array, least: float) -> float:
    """The sample variance; none where it is not larger than rounding makes it."""
    variance = float(values.var(ddof=1))
    return variance if variance > least else 0.0


def _replicate_terms(blocks: list[Array], least: float) -> tuple[Term | None, list[Term]]:
    """S²_g/R of the replicate means g of the summed blocks, and −MS_E/(R·P) of each block.

    None with one replicate, and with four or more where the component is estimated below zero; with two or three,
    too little is known to call it zero (doing so decides 7 % of null contrasts instead of 5 %).
    """
    if not blocks or blocks[0].shape[0] < 2:
        return None, []
    replicates = blocks[0].shape[0]
    means = add_arrays(block.mean(axis=1) for block in blocks)
    between = Term(_find_variance(means, least) / replicates, replicates - 1)
    errors = []
    for block in (block for block in blocks if block.shape[1] > 1):
        residual = block - block.mean(axis=0) - block.mean(axis=1, keepdims=True) + block.mean()
        df = (replicates - 1) * (block.shape[1] - 1)
        mean_square = float((residual**2).sum()) / df
        errors.append(Term(-(mean_square if mean_square > least else 0.0) / block.size, df))
    is_positive = between.variance + sum(error.variance for error in errors) > 0
    return (between, errors) if is_positive or between.df <= MOST_FEW_DF else (None, [])


def _effective_problems(value: float, problems: list[Term], trained: list[Term], sizes: list[int]) -> float:
    """n with p(1−p)/n = variance (Dean & Pagano 2015, JSSAM 3:484); else the number of problems.

    Without terms of the problems (too few of them differ) theirs is that of the number of problems.
    """
    actual = len(sizes) ** 2 / sum(1 / size for size in sizes)
    variance = value * (1 - value) / actual
    if problems:
        variance = sum(term.variance for term in problems)
    variance += max(sum(term.variance for term in trained), 0.0)
    if variance <= 0 or not 0 < value < 1 or not math.isfinite(variance):
        return actual
    return value * (1 - value) / variance


def pass_at_k(samples: int, correct: int, k: int) -> float:
    """The unbiased estimate 1 − C(n−c, k) / C(n, k) (Chen et al. 2021, arXiv:2107.03374); k ≤ n."""
    if not 1 <= k <= samples:
        raise EmptySideError(
            f"pass@{k} needs at least {k} samples per problem, not {samples}", "Sample more, or lower k."
        )
    return 1.0 - math.comb(samples - correct, k) / math.comb(samples, k)
