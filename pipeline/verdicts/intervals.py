"""An estimate with its variance components, and the intervals and p values that follow from them.

Student's t with Satterthwaite's degrees of freedom (Satterthwaite 1946, Biometrics Bulletin 2:110); Wilson's
interval for shares. With two or three replicates their few degrees of freedom make Satterthwaite's interval hold
88 % and 92 % instead of 95 % in simulation (200 problems, much training noise), so there each part keeps its own
t quantile and the squares are added (Howe 1974, Journal of the American Statistical Association 69:789), which holds.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from scipy import optimize, special

LEVEL = 0.95
LEAST_LOG_P = -36.0
"""The logarithm of the least p that is told from none: beyond it 1 − p is 1."""


@dataclass(frozen=True)
class Term:
    """One mean square of the variance of an estimate, with its degrees of freedom; may be negative."""

    variance: float
    df: float


@dataclass(frozen=True)
class Estimate:
    """A mean or contrast with its variance. `share_n` is set for one-sided shares: Wilson intervals then.

    `few` are the mean squares of only two or three replicates, which keep their own quantile.
    """

    value: float
    terms: tuple[Term, ...]
    n_problems: int
    n_replicates: int
    share_n: float | None = None
    notes: tuple[str, ...] = ()
    few: tuple[Term, ...] = ()

    @property
    def variance(self) -> float:
        return self._rest + sum(term.variance for term in self.few)

    @property
    def _rest(self) -> float:
        return max(sum(term.variance for term in self.terms), 0.0)

    @property
    def has_width(self) -> bool:
        """Whether anything varied; an interval without width decides nothing."""
        low, high = self.interval()
        return low != high

    @property
    def df(self) -> float:
        """Satterthwaite's degrees of freedom of the summed mean squares, at least 1; those of few replicates."""
        if not math.isfinite(self.variance):
            return 1.0
        return min((term.df for term in self.few), default=self._rest_df)

    @property
    def _rest_df(self) -> float:
        spread = sum(term.variance**2 / term.df for term in self.terms if term.df > 0)
        return max(self._rest**2 / spread, 1.0) if spread > 0 else math.inf

    def quantile(self, level: float) -> float:
        """Half the interval's width in standard errors: Student's t, or Howe's combination for few replicates."""
        upper = (1 + level) / 2
        if not self.few or not math.isfinite(self.variance) or self.variance == 0:
            return student_quantile(upper, self.df)
        squares = self._rest * student_quantile(upper, self._rest_df) ** 2
        squares += sum(term.variance * student_quantile(upper, term.df) ** 2 for term in self.few)
        return math.sqrt(squares / self.variance)

    def interval(self, level: float = LEVEL) -> tuple[float, float]:
        """The two-sided interval: Wilson's with the effective number of problems for shares, else symmetric."""
        if self.share_n is not None:
            return wilson(self.value, self.share_n, self.quantile(level))
        if not math.isfinite(self.variance):
            return -math.inf, math.inf
        half = self.quantile(level) * math.sqrt(self.variance) if self.variance else 0.0
        return self.value - half, self.value + half

    def p_value(self, threshold: float) -> float:
        """Two-sided p of `threshold`: below 1 − level exactly where the interval leaves it out.

        1 where nothing varies: an interval without width cannot be trusted to decide.
        """
        variance = self.variance
        if self.share_n is not None:
            variance = threshold * (1 - threshold) / self.share_n
            if variance <= 0:
                is_edge = threshold in (0, 1) and self.value != threshold
                return 0.0 if is_edge or not 0 <= threshold <= 1 else 1.0
        if variance == 0 or not math.isfinite(variance):
            return 1.0
        return self._tail(abs(self.value - threshold) / math.sqrt(variance))

    def _tail(self, distance: float) -> float:
        """1 − the level whose interval reaches just so many standard errors."""
        if not self.few:
            return 2 * student_cdf(-distance, self.df)

        def excess(log_p: float) -> float:
            return self.quantile(1 - math.exp(log_p)) - distance

        if excess(LEAST_LOG_P) <= 0:
            return math.exp(LEAST_LOG_P)
        return math.exp(optimize.brentq(excess, LEAST_LOG_P, 0.0, xtol=1e-14))


def student_quantile(probability: float, df: float) -> float:
    """The quantile of Student's t; the normal one for infinitely many degrees of freedom."""
    return float(special.stdtrit(df, probability) if math.isfinite(df) else special.ndtri(probability))


def student_cdf(value: float, df: float) -> float:
    """The distribution function of Student's t."""
    return float(special.stdtr(df, value) if math.isfinite(df) else special.ndtr(value))


def wilson(share: float, n: float, quantile: float) -> tuple[float, float]:
    """Wilson's score interval of a share (Wilson 1927, JASA 22:209); n may be an effective sample size."""
    if not math.isfinite(quantile):
        return 0.0, 1.0
    square = quantile**2
    centre = (share + square / (2 * n)) / (1 + square / n)
    half = quantile / (1 + square / n) * math.sqrt(max(share * (1 - share) / n + square / (4 * n * n), 0.0))
    return max(centre - half, 0.0), min(centre + half, 1.0)
