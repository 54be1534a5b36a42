"""Ratios of means with Fieller's interval (Fieller 1954, JRSS B 16:175), from the contrasts of `paired`."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass

from scipy import optimize

from pipeline.verdicts.intervals import LEVEL, Estimate
from pipeline.verdicts.paired import Side, Terms, estimate_linear


def estimate_ratio(left: Side, right: Side, *, level: float = LEVEL) -> tuple[float, float, float]:
    """a / b with Fieller's interval: all c whose contrast a − c·b does not differ from zero.

    c ≥ 0 where a cannot be negative. A limit is infinite where b itself may be zero.
    """
    fieller = FiellerRatio(((1.0, left),), ((1.0, right),))
    return fieller.value, *fieller.interval(level)


@dataclass(frozen=True)
class FiellerRatio:
    """The ratio of two weighted sums of means; an Estimate in all that deciding asks of one."""

    top: Terms
    bottom: Terms

    @functools.cached_property
    def value(self) -> float:
        below = estimate_linear(self.bottom).value
        return estimate_linear(self.top).value / below if below > 0 else math.nan

    def _contrast(self, c: float) -> Estimate:
        return estimate_linear((*self.top, *((-c * weight, side) for weight, side in self.bottom)))

    def interval(self, level: float = LEVEL) -> tuple[float, float]:
        lowest = -math.inf if self._may_be_negative else 0.0
        if math.isnan(self.value):
            return lowest, math.inf

        def depth(c: float) -> float:
            """How far inside the contrast's interval zero lies; negative outside."""
            low, high = self._contrast(c).interval(level)
            return min(-low, high)

        far = 1e3 * max(abs(self.value), 1.0)
        low = _find_limit(depth, self.value, max(lowest, -far))
        return low, _find_limit(depth, self.value, far)

    @property
    def _may_be_negative(self) -> bool:
        """Whether any mean above is below zero (a reward), or is subtracted."""
        return self.value < 0 or any(
            weight < 0 or panel.values.mean() < 0 for weight, side in self.top for panel in side.panels
        )

    def p_value(self, threshold: float) -> float:
        return 1.0 if math.isnan(self.value) else self._contrast(threshold).p_value(0.0)

    @property
    def df(self) -> float:
        return self._contrast(self.value).df

    @property
    def has_width(self) -> bool:
        return not math.isnan(self.value) and self._contrast(self.value).has_width

    @property
    def n_problems(self) -> int:
        return estimate_linear(self.top).n_problems

    @property
    def n_replicates(self) -> int:
        return self._contrast(1.0).n_replicates

    @property
    def notes(self) -> tuple[str, ...]:
        return () if math.isnan(self.value) else self._contrast(self.value).notes


def _find_limit(depth: Callable[[float], float], inside: float, far: float) -> float:
    """Where the depth changes its sign between a point inside and one far away; endless where it does not.

    By halving: the depth jumps where a component of the variance is estimated below zero, and there a root finder
    that interpolates (brentq) may stop at another change of sign, nearer to the estimate.
    """
    if depth(far) >= 0:
        return math.copysign(math.inf, far) if far else 0.0
    if depth(inside) <= 0:  # nothing varies: the interval is its estimate
        return inside
    return float(optimize.bisect(depth, inside, far))
