"""Quantities that no closed interval covers: the largest of several, ratios of ratios, first levels, frontiers.

The means of all cells are drawn jointly, 20,000 times, and the quantity is computed anew in each draw, so that
a selection (the best checkpoint) is repeated in every draw. A draw is a Gaussian multiplier bootstrap
(Chernozhukov, Chetverikov & Kato 2013, Annals of Statistics 41:2786, made for maxima) in two levels: problems
of each measure, and replicates where there are two or more, each with the t factor of its degrees of freedom,
because resampling two or three replicates is far too narrow. One multiplier belongs to a problem (a replicate)
in all cells: differences are paired exactly as in `paired`, and a plain difference gets the interval of `paired`.

Guaranteed: the same draws for the same input. A largest or smallest is evaluated in two ways, and the interval
holds both: as if all candidates were equally good, where picking the luckiest misleads most, and with the pick
of the data fixed, where it does not; both reflected around the estimate (basic interval; Davison & Hinkley 1997,
Bootstrap Methods, section 5.2), because the plug-in maximum is biased upwards. So a best checkpoint is never
supported by its selection alone. Refused: to decide by draws none of which differ (`has_width`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.verdicts.intervals import LEVEL
from pipeline.verdicts.paired import (
    MIN_INFORMATIVE,
    MOST_FEW_DF,
    NEGLIGIBLE,
    ONE_PROBLEM,
    Array,
    Block,
    Side,
    align_panels,
    count_replicates,
    few_problems_factor,
)

DRAWS = 20_000
SEED = 20_130_612

Evaluate = Callable[[Sequence[Array]], Array]
"""Means of the sides (one array each, of equal length) → the quantity, of that length."""
Points = tuple[Array, Array]
"""One point (x, y) of a frontier in every draw."""


@dataclass(frozen=True)
class DrawnEstimate:
    """An estimate with the draws of its distribution, sorted; an Estimate in all that deciding asks of one."""

    value: float
    draws: tuple[Array, ...]
    n_problems: int
    n_replicates: int
    has_width: bool
    notes: tuple[str, ...] = ()
    df: float = math.inf

    def interval(self, level: float = LEVEL) -> tuple[float, float]:
        """The percentiles of the draws, never leaving out the estimate; endless where too much has no value."""
        cut = int((1 - level) / 2 * (DRAWS + 1))
        if cut < 1:
            return -math.inf, math.inf
        lows = [float(drawn[cut - 1]) for drawn in self.draws]
        highs = [float(drawn[-cut]) for drawn in self.draws]
        return min(*lows, self.value), max(*highs, self.value)

    def p_value(self, threshold: float) -> float:
        """Two-sided p of `threshold`: below 1 − level where the interval leaves it out, never zero."""
        if not self.has_width:
            return 1.0
        return max(_p_value(drawn, threshold) for drawn in self.draws)


def _p_value(drawn: Array, threshold: float) -> float:
    at_most = int(np.searchsorted(drawn, threshold, side="right"))
    at_least = drawn.size - int(np.searchsorted(drawn, threshold, side="left"))
    return min(1.0, 2 * (min(at_most, at_least) + 1) / (drawn.size + 1))


def simulate(sides: Sequence[Side], *evaluations: Evaluate, reflect: bool = False) -> DrawnEstimate:
    """The quantity of the sides' means with the distribution that problems and replicates give it.

    Several evaluations agree on the means themselves; the interval holds those of all.
    """
    means = np.array([np.mean([panel.values.mean() for panel in side.panels]) for side in sides])
    rng = np.random.default_rng(SEED)
    noise = np.zeros((DRAWS, len(sides)))
    notes: list[str] = []
    aligned = align_panels(sides)
    sizes = 0
    for block in aligned:
        if block.is_sample:
            sizes += block.n_informative
            noise += _draw_problems(block, sides, rng, notes)
    for group in _replicate_groups(sides):
        noise += _draw_replicates(group, sides, aligned, rng)
    value = float(evaluations[0]([means[i : i + 1] for i in range(len(sides))])[0])
    found = [evaluate([means[i] + noise[:, i] for i in range(len(sides))]) for evaluate in evaluations]
    shifted = [2 * value - values if reflect else values for values in found]
    if lost := max(float(np.isnan(values).mean()) for values in shifted):
        notes.append(f"without a value in {max(100 * lost, 0.1):.2g} % of the draws")
    drawn = tuple(np.sort(held) for values in shifted for held in _hold_missing(values))
    has_width = bool(np.ptp(noise, axis=0).all()) and math.isfinite(value)
    return DrawnEstimate(value, drawn, sizes, count_replicates(sides), has_width, tuple(dict.fromkeys(notes)))


def _hold_missing(values: Array) -> tuple[Array, ...]:
    """Draws in which the quantity has no value count as very small and as very large: both are held."""
    missing = np.isnan(values)
    if not missing.any():
        return (values,)
    return np.where(missing, -np.inf, values), np.where(missing, np.inf, values)


def _draw_problems(block: Block, sides: Sequence[Side], rng: np.random.Generator, notes: list[str]) -> Array:
    """Noise of the problems of one measure in every side that has it; t with as many degrees of freedom as `paired`."""
    indices, informative = list(block.by_side), block.n_informative
    rows = np.array([block.by_side[i].mean(axis=0) / len(sides[i].panels) for i in indices])
    count = rows.shape[1]
    noise = np.zeros((DRAWS, len(sides)))
    if informative < 2:
        notes.append(ONE_PROBLEM)
        noise[:, indices] = np.nan
        return noise
    deviations = _deviate(rows)
    spread = math.sqrt(few_problems_factor(count, informative))
    noise[:, indices] = spread * _draw_t(deviations, informative - 1, rng)
    for place, i in enumerate(indices):
        n_differ = np.sum(np.abs(rows[place] - np.median(rows[place])) > 1e-9)
        if sides[i].bounded and n_differ < MIN_INFORMATIVE:
            notes.append(f"fewer than {MIN_INFORMATIVE} problems differ: the interval is widened")
            noise[:, i] += rng.standard_normal(DRAWS) / (count + 2) / len(sides[i].panels)
    return noise


def _deviate(rows: Array) -> Array:
    """Deviations from the mean of each row; none where they are rounding."""
    deviations = rows - rows.mean(axis=1, keepdims=True)
    is_rounding = np.abs(deviations).max(axis=1) <= NEGLIGIBLE * np.abs(rows).max(axis=1)
    return np.where(is_rounding[:, None], 0.0, deviations)


def _draw_t(deviations: Array, df: int, rng: np.random.Generator) -> Array:
    """Draws of the mean's noise, [draw, row], from deviations [row, n] that sum to zero along n."""
    count = deviations.shape[1]
    values, vectors = np.linalg.eigh(deviations @ deviations.T / (count * (count - 1)))
    factor = vectors * np.sqrt(np.maximum(values, 0.0))
    spread = np.sqrt(rng.chisquare(df, DRAWS) / df)
    drawn: Array = rng.standard_normal((DRAWS, len(values))) @ factor.T / spread[:, None]
    return drawn


def _replicate_groups(sides: Sequence[Side]) -> list[list[int]]:
    groups: dict[tuple[int, ...], list[int]] = {}
    for i, side in enumerate(sides):
        if len(side.replicates) > 1:
            groups.setdefault(side.replicates, []).append(i)
    return list(groups.values())


def _draw_replicates(
    group: Sequence[int],
    sides: Sequence[Side],
    aligned: Sequence[Block],
    rng: np.random.Generator,
) -> Array:
    """Noise of the replicates that some sides share; t with R − 1 degrees of freedom.

    The share of it that sampling of responses explains is in the problems' noise already and is taken out; with
    two or three replicates nothing is taken out, too little being known.
    """
    replicates = len(sides[group[0]].replicates)
    means = np.zeros((len(group), replicates))
    explained = 0.0
    for block in aligned:
        for place, i in enumerate(group):
            if i in block.by_side:
                values = block.by_side[i] / len(sides[i].panels)
                means[place] += values.mean(axis=1)
                explained += _error_variance(values) if block.is_sample else 0.0
    deviations = _deviate(means)
    total = float((deviations**2).sum()) / (replicates - 1)
    kept = 1.0 if replicates - 1 <= MOST_FEW_DF or total == 0 else max(1.0 - explained / total, 0.0)
    noise = np.zeros((DRAWS, len(sides)))
    noise[:, list(group)] = math.sqrt(kept) * _draw_t(deviations, replicates - 1, rng)
    return noise


def _error_variance(block: Array) -> float:
    """Variance of a replicate's mean that responses alone give: MS_E / P."""
    replicates, problems = (int(size) for size in block.shape)
    if problems < 2:
        return 0.0
    residual = block - block.mean(axis=0) - block.mean(axis=1, keepdims=True) + block.mean()
    return float((residual**2).sum()) / ((replicates - 1) * (problems - 1)) / problems


def interpolate_gap(ours: Sequence[Points], theirs: Sequence[Points]) -> Array:
    """Mean over common x of ours − theirs, both families interpolated linearly between their points.

    ours, theirs: (x, y) pairs of arrays over draws. Five x at equal distances between the larger of the
    smallest x and the smaller of the largest x; not-a-number where the families have no x in common.
    """
    ours_x, ours_y = _sort_points(ours)
    theirs_x, theirs_y = _sort_points(theirs)
    low = np.maximum(ours_x[:, 0], theirs_x[:, 0])
    high = np.minimum(ours_x[:, -1], theirs_x[:, -1])
    gaps = np.zeros(len(low))
    for share in np.linspace(0.0, 1.0, 5):
        at = low + share * (high - low)
        gaps += (_interpolate(at, ours_x, ours_y) - _interpolate(at, theirs_x, theirs_y)) / 5
    return np.where(high > low, gaps, np.nan)


def _sort_points(points: Sequence[Points]) -> tuple[Array, Array]:
    x = np.stack([point[0] for point in points], axis=1)
    y = np.stack([point[1] for point in points], axis=1)
    order = np.argsort(x, axis=1)
    return np.take_along_axis(x, order, axis=1), np.take_along_axis(y, order, axis=1)


def _interpolate(at: Array, x: Array, y: Array) -> Array:
    """Row-wise linear interpolation; x sorted along axis 1, at within its range."""
    if x.shape[1] == 1:
        return y[:, 0]
    right = np.clip((x < at[:, None]).sum(axis=1), 1, x.shape[1] - 1)[:, None]
    x0, x1 = np.take_along_axis(x, right - 1, 1)[:, 0], np.take_along_axis(x, right, 1)[:, 0]
    y0, y1 = np.take_along_axis(y, right - 1, 1)[:, 0], np.take_along_axis(y, right, 1)[:, 0]
    share = np.where(x1 > x0, (at - x0) / np.where(x1 > x0, x1 - x0, 1.0), 0.0)
    return y0 + share * (y1 - y0)
