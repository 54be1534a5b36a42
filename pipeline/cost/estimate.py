"""Intervals whose shared errors do not cancel.

A cost is a function of quantities that nobody knows exactly (a kernel's efficiency, a mean length). Each is a `Prior`:
three values below which it lies with 10, 50 and 90 %. The function is evaluated with all of them at their middle and
then with each alone at its low and its high value; the logarithms of the ratios are joined in quadrature – on the
*total* of a plan, since 54 trainings share one unknown efficiency: their errors do not cancel, they add.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

Z80 = 1.2815515655446004
"""Normal quantile of 90 %: half the width of an 80 % interval in standard deviations."""


@dataclass(frozen=True, slots=True)
class Prior:
    """What is believed of one quantity: 10, 50 and 90 %, and why (`prior`, `measured 12`, `declared`)."""

    low: float
    mid: float
    high: float
    basis: str = "prior"

    def __post_init__(self) -> None:
        if not 0 < self.low <= self.mid <= self.high:
            raise ValueError(f"{self.low}, {self.mid}, {self.high} are not three positive, rising values")

    @staticmethod
    def within(mid: float, fold: float, basis: str = "prior") -> Prior:
        """A quantity known up to a factor: mid ×/÷ fold."""
        return Prior(mid / fold, mid, mid * fold, basis)


@dataclass(slots=True)
class Assumed:
    """The values that one evaluation assumes, by name: middles, but for one quantity at its low or high value.

    `known` are priors that measurements have replaced. Notes which quantities were asked for.
    """

    known: Mapping[str, Prior] = field(default_factory=dict)
    shifted: str | None = None
    is_high: bool = False
    asked: dict[str, Prior] = field(default_factory=dict)

    def __call__(self, name: str, prior: Prior) -> float:
        """The assumed value of a quantity; `prior` is what is believed of it where nothing was measured."""
        believed = self.known.get(name, prior)
        self.asked[name] = believed
        if name != self.shifted:
            return believed.mid
        return believed.high if self.is_high else believed.low


@dataclass(frozen=True, slots=True)
class Cost:
    """A value at the middles, and what it becomes with one quantity alone at its low and its high value."""

    mid: float
    shifts: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    bases: frozenset[str] = frozenset()

    def times(self, factor: float) -> Cost:
        """The cost of so many alike."""
        scaled = {name: (low * factor, high * factor) for name, (low, high) in self.shifts.items()}
        return Cost(self.mid * factor, scaled, self.bases)

    def estimate(self) -> Estimate:
        """The 80 % interval."""
        if self.mid <= 0:
            return Estimate(0.0, 0.0, 0.0, 0.0, "none")
        up = down = 0.0
        for pair in self.shifts.values():
            logs = [math.log(max(value, 1e-300) / self.mid) for value in pair]
            up += max(0.0, *logs) ** 2
            down += max(0.0, *(-log for log in logs)) ** 2
        up, down = math.sqrt(up), math.sqrt(down)
        spread = (up + down) / 2 / Z80
        basis = "; ".join(sorted(self.bases)) or "exact"
        return Estimate(
            low=self.mid * math.exp(-down),
            mid=self.mid,
            high=self.mid * math.exp(up),
            mean=self.mid * math.exp(spread**2 / 2),
            basis=basis,
        )


@dataclass(frozen=True, slots=True)
class Estimate:
    """An 80 % interval with its middle and its mean (of a log-normal; budgets are applied for with the mean)."""

    low: float
    mid: float
    high: float
    mean: float
    basis: str

    @property
    def fold(self) -> float:
        """The half-width as a factor: high over mid and mid over low, their geometric mean."""
        return math.sqrt(self.high / self.low) if self.low > 0 else 1.0


NOTHING = Cost(0.0)


def evaluate(formula: Callable[[Assumed], float], known: Mapping[str, Prior] | None = None) -> Cost:
    """A formula's value with every quantity at its middle, and with each in turn at its low and high value."""
    base = Assumed(known or {})
    mid = formula(base)
    shifts: dict[str, tuple[float, float]] = {}
    for name, prior in base.asked.items():
        if prior.low == prior.high:
            continue
        low, high = (formula(Assumed(base.known, name, is_high)) for is_high in (False, True))
        if low != mid or high != mid:
            shifts[name] = (low, high)
    return Cost(mid, shifts, frozenset(prior.basis for prior in base.asked.values()))


def total(costs: Iterable[Cost]) -> Cost:
    """The sum: a quantity that several share is shifted in all of them at once."""
    parts = list(costs)
    mid = math.fsum(part.mid for part in parts)
    moved: dict[str, list[float]] = {}
    for part in parts:
        for name, (low, high) in part.shifts.items():
            sums = moved.setdefault(name, [mid, mid])
            sums[0] += low - part.mid
            sums[1] += high - part.mid
    shifts = {name: (low, high) for name, (low, high) in moved.items()}
    return Cost(mid, shifts, frozenset().union(*(part.bases for part in parts)))
