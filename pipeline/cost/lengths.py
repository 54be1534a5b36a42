"""Lengths of responses and rows: log-normal, cut at a limit.

The mean that people print is that of the cut lengths, so the distribution is fitted to it. The spread is given as
the coefficient of variation of the uncut log-normal (0.8: R1's traces of mathematics).
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

VARIATION = 0.8
_STEPS = 64


def _phi(z: float) -> float:
    return 0.5 * math.erfc(-z / math.sqrt(2))


@dataclass(frozen=True, slots=True)
class Lengths:
    """Lengths in tokens: log-normal with parameters mu, sigma, cut at `limit`."""

    mu: float
    sigma: float
    limit: float

    def survival(self, length: float) -> float:
        """Share of responses longer than `length`."""
        if length <= 0:
            return 1.0
        return 0.0 if length >= self.limit else _phi((self.mu - math.log(length)) / self.sigma)

    @property
    def mean(self) -> float:
        """Mean of the cut lengths."""
        s = self.sigma
        z = (math.log(self.limit) - self.mu) / s
        return math.exp(self.mu + s * s / 2) * _phi(z - s) + self.limit * _phi(-z)

    @property
    def second_moment(self) -> float:
        """Mean square of the cut lengths."""
        s = self.sigma
        z = (math.log(self.limit) - self.mu) / s
        return math.exp(2 * self.mu + 2 * s * s) * _phi(z - 2 * s) + self.limit**2 * _phi(-z)

    @property
    def cut_share(self) -> float:
        """Share of responses that reach the limit."""
        return _phi((self.mu - math.log(self.limit)) / self.sigma)

    def longest_of(self, count: float) -> float:
        """Expected length of the longest of so many independent ones: the integral of 1 − F(x)^count."""
        return self.mean if count <= 1 else _longest(self, count)


@functools.lru_cache(maxsize=8192)
def _longest(lengths: Lengths, count: float) -> float:
    step = lengths.limit / _STEPS
    return step * math.fsum(1 - (1 - lengths.survival((i + 0.5) * step)) ** count for i in range(_STEPS))


@functools.lru_cache(maxsize=8192)
def fit_lengths(mean: float, limit: float, variation: float = VARIATION) -> Lengths:
    """The distribution whose cut mean is `mean` (at most 97 % of the limit: then most are cut)."""
    sigma = math.sqrt(math.log1p(variation**2))
    wanted = min(mean, 0.97 * limit)
    low, high = math.log(wanted) - 1.0, math.log(limit) + 8.0
    for _ in range(44):  # the planner imports no scipy; 44 halvings leave a relative 1e-12
        mu = (low + high) / 2
        if Lengths(mu, sigma, limit).mean < wanted:
            low = mu
        else:
            high = mu
    return Lengths((low + high) / 2, sigma, limit)
