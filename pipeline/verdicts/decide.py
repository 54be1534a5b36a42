"""Verdicts: is a claim of the study supported, refuted or undecided by what was measured?

A part is *supported* where the whole interval of its effect lies on the claimed side of the threshold,
*refuted* where the whole interval lies on the other side, and else *undecided*, with the direction of the
point estimate, or because finished measurements hold no value of what is claimed (no right answer of such a
length). It is *incomplete* where measurements are missing; nothing is decided on half of the data.

The parts of one claim are read one by one, so they share one error rate of 5 %: Holm's step-down procedure
(Holm 1979, Scandinavian Journal of Statistics 6:65) gives each part its own level, and the part is decided by
its interval at that level. Parts that are still incomplete count in the number of parts, so that results
that arrive later never loosen a verdict. The claim is supported where all parts are, refuted where any is.

A plain difference, a slope, a difference of differences and a ratio have closed intervals (`paired`,
`fieller`); whatever picks or divides further is drawn (`bootstrap`). *Between* is supported where the whole interval lies inside
(an equivalence test at the stricter two-sided level) and refuted where it lies outside.

Refused: deciding by an interval without width (nothing varied), which no result could contradict.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from pipeline.request.claims import CompiledClaim, Part
from pipeline.request.quantities import Leaf
from pipeline.verdicts.estimates import AnyEstimate, estimate_quantity
from pipeline.verdicts.fieller import estimate_ratio
from pipeline.verdicts.intervals import LEVEL, Estimate
from pipeline.verdicts.paired import EmptySideError, Side, estimate_contrast, estimate_mean

Status = Literal["supported", "refuted", "undecided", "incomplete"]


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What one part is decided on: its sides (or those of its effect's leaves), or what is missing.

    `valueless` says of which figure finished measurements hold no value.
    """

    left: Side | None = None
    right: Side | None = None
    leaves: Mapping[Leaf, Side] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    valueless: str = ""

    @property
    def sides(self) -> tuple[Side, ...]:
        """All sides."""
        return (*(side for side in (self.left, self.right) if side is not None), *self.leaves.values())


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What became of one part. `interval` is at 95 %, `decisive` at the level that decided (Holm)."""

    status: Status
    label: str = ""
    threshold: float = 0.0
    upper: float | None = None
    effect: float | None = None
    interval: tuple[float, float] | None = None
    decisive: tuple[float, float] | None = None
    level: float = LEVEL
    p_value: float = 1.0
    df: float | None = None
    left: float | None = None
    right: float | None = None
    ratio: tuple[float, float, float] | None = None
    decisive_ratio: tuple[float, float] | None = None
    n_problems: int = 0
    n_replicates: int = 0
    scope: str = ""
    note: str = ""
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ClaimVerdict:
    """What became of a claim: the status of all parts together, and each part's verdict in order."""

    name: str
    status: Status
    parts: tuple[Verdict, ...]


def decide_claim(claim: CompiledClaim, evidence: Sequence[Evidence]) -> ClaimVerdict:
    """Decide every part of a claim at its Holm level, then the claim; one evidence per part, in order."""
    weighed = [_weigh(part, given) for part, given in zip(claim.parts, evidence, strict=True)]
    levels = holm_levels([one.p_value for one in weighed])
    verdicts = tuple(_decide(one, level) for one, level in zip(weighed, levels, strict=True))
    return ClaimVerdict(
        name=claim.name, status=combine_statuses([v.status for v in verdicts]), parts=verdicts
    )


def decide(part: Part, evidence: Evidence, *, level: float = LEVEL) -> Verdict:
    """Decide one part by its interval at `level`."""
    return _decide(_weigh(part, evidence), level)


@dataclass(frozen=True)
class _Weighed:
    """A part with its evidence, its estimate (None where there is none) and the p-value of its threshold."""

    part: Part
    evidence: Evidence
    estimate: AnyEstimate | None = None
    p_value: float = 1.0


def _weigh(part: Part, evidence: Evidence) -> _Weighed:
    try:
        estimate = estimate_part(part, evidence)
        p_value = 1.0 if estimate is None else _p_value(part, estimate)
    except EmptySideError as error:
        return _Weighed(part, Evidence(valueless=error.what))
    return _Weighed(part, evidence, estimate, p_value)


def _decide(weighed: _Weighed, level: float) -> Verdict:
    part, evidence, estimate = weighed.part, weighed.evidence, weighed.estimate
    low, high = bounds_of(part)
    open_verdict = Verdict(status="undecided", label=part.label, threshold=low, upper=high, level=level)
    if evidence.valueless:
        return replace(open_verdict, note=f"nothing to decide it on: {evidence.valueless}")
    if estimate is None:
        count = len(evidence.missing)
        return replace(
            open_verdict,
            status="incomplete",
            missing=evidence.missing,
            note=f"{count} measurement{'s are' if count != 1 else ' is'} not there yet",
        )
    decisive = estimate.interval(level)
    status, note = _judge(part, estimate, decisive)
    return replace(
        open_verdict,
        status=status,
        note="; ".join(filter(None, (note, *estimate.notes))),
        effect=estimate.value,
        interval=estimate.interval(),
        decisive=decisive,
        p_value=weighed.p_value,
        df=estimate.df if math.isfinite(estimate.df) else None,
        left=estimate_mean(evidence.left).value if evidence.left else None,
        right=estimate_mean(evidence.right).value if evidence.right else None,
        ratio=_ratio(part, evidence, LEVEL),
        decisive_ratio=(_ratio(part, evidence, level) or (None,))[1:] or None,
        n_problems=estimate.n_problems,
        n_replicates=estimate.n_replicates,
        scope=describe_scope(*evidence.sides),
    )


def bounds_of(part: Part) -> tuple[float, float | None]:
    """What the effect is held against: a threshold, or both ends of a range."""
    if part.kind == "between":
        return part.value or 0.0, part.high
    return part.threshold + (part.value or 0.0 if part.effect is not None else 0.0), None


def _p_value(part: Part, estimate: AnyEstimate) -> float:
    """p of the threshold; of the nearer end of a range, which is the larger one."""
    return max(estimate.p_value(bound) for bound in bounds_of(part) if bound is not None)


def _judge(part: Part, estimate: AnyEstimate, decisive: tuple[float, float]) -> tuple[Status, str]:
    """What the interval at the deciding level says of the part, and a note on what is left open."""
    (low, high), effect = decisive, estimate.value
    threshold, upper = bounds_of(part)
    if not math.isfinite(effect):
        return "undecided", "the effect has no value: a division by zero, or frontiers without a common range"
    if not estimate.has_width:
        return (
            "undecided",
            "every problem gave exactly the same difference, so its spread cannot be estimated",
        )
    if upper is not None:
        return _judge_range(effect, (threshold, upper), low, high)
    if _is_reached(part, threshold, low, high):
        return "supported", ""
    if high < threshold if part.claims_larger else low > threshold:
        return "refuted", ""
    if effect == threshold:
        return "undecided", "the point estimate lies on the threshold"
    agrees = (effect > threshold) == part.claims_larger
    return "undecided", f"the point estimate {'agrees with' if agrees else 'contradicts'} the claim"


def _is_reached(part: Part, threshold: float, low: float, high: float) -> bool:
    """Whether the whole interval lies on the claimed side; at_least and at_most hold their number itself."""
    if part.kind == "at_least":
        return low >= threshold
    if part.kind == "at_most":
        return high <= threshold
    return low > threshold if part.claims_larger else high < threshold


def _judge_range(effect: float, claimed: tuple[float, float], low: float, high: float) -> tuple[Status, str]:
    if claimed[0] <= low and high <= claimed[1]:
        return "supported", ""
    if high < claimed[0] or low > claimed[1]:
        return "refuted", ""
    agrees = claimed[0] <= effect <= claimed[1]
    return "undecided", f"the point estimate lies {'inside' if agrees else 'outside'} the range"


def _ratio(part: Part, evidence: Evidence, level: float) -> tuple[float, float, float] | None:
    """a / b with Fieller's interval, for the parts that claim a multiple."""
    if part.times is None or evidence.left is None or evidence.right is None:
        return None
    return estimate_ratio(evidence.left, evidence.right, level=level)


def estimate_part(part: Part, evidence: Evidence) -> AnyEstimate | None:
    """The effect a − times·b, a − value or a part's own; None where there is nothing to make it from."""
    if evidence.missing or evidence.valueless or not evidence.sides:
        return None
    if part.effect is not None:
        return estimate_quantity(part.effect, evidence.leaves)
    if evidence.left is None:
        return None
    if part.right and evidence.right is not None:
        times = 1.0 if part.times is None else part.times
        return estimate_contrast(evidence.left, evidence.right, times=times)
    mean = estimate_mean(evidence.left)
    return mean if part.kind == "between" else _Shifted.of(mean, part.value or 0.0)


@dataclass(frozen=True)
class _Shifted(Estimate):
    """A mean minus a number: the interval of the mean, moved."""

    shift: float = 0.0

    @classmethod
    def of(cls, mean: Estimate, value: float) -> _Shifted:
        fields = {field: getattr(mean, field) for field in Estimate.__dataclass_fields__}
        return cls(**{**fields, "value": mean.value - value}, shift=value)

    def interval(self, level: float = LEVEL) -> tuple[float, float]:
        low, high = self._mean.interval(level)
        return low - self.shift, high - self.shift

    def p_value(self, threshold: float) -> float:
        return self._mean.p_value(threshold + self.shift)

    @property
    def _mean(self) -> Estimate:
        fields = {field: getattr(self, field) for field in Estimate.__dataclass_fields__}
        return Estimate(**{**fields, "value": self.value + self.shift})


def holm_levels(p_values: Sequence[float], *, level: float = LEVEL) -> list[float]:
    """The confidence level of each part's interval, such that it excludes the threshold iff Holm rejects.

    The i-th smallest p is held against alpha / (m − i + 1); from the first that fails on, the divisor stays.
    """
    alpha, count = 1 - level, len(p_values)
    levels, divisor, stopped = [level] * count, count, False
    for rank, index in enumerate(sorted(range(count), key=lambda i: (p_values[i], i))):
        divisor = divisor if stopped else count - rank
        levels[index] = 1 - alpha / divisor
        stopped = stopped or p_values[index] > alpha / divisor
    return levels


def combine_statuses(statuses: Sequence[Status]) -> Status:
    """Refuted if any part is; else incomplete, then undecided, if any part is; else supported."""
    for status in ("refuted", "incomplete", "undecided"):
        if status in statuses:
            return status
    return "supported" if statuses else "incomplete"


def describe_scope(*sides: Side) -> str:
    """What the interval speaks about: which source of noise it holds."""
    if all(side.scope for side in sides):
        return "; ".join(dict.fromkeys(side.scope for side in sides))
    replicates = [len(side.replicates) for side in sides if side.trained]
    if not replicates:
        return "these models as they are, on problems like these"
    if min(replicates) == 1:
        return "these checkpoints only: one replicate says nothing about training noise"
    return f"trainings like these ({min(replicates)} replicates), on problems like these"
