"""Verdicts as a reader sees them: the effect in its natural unit, drawn against its threshold."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from markupsafe import Markup

from pipeline.report.drawing.strips import draw_strip
from pipeline.report.drawing.words import format_value
from pipeline.request.claims import CompiledClaim, Part
from pipeline.request.logged import UnitKind
from pipeline.request.metrics import AnyMetric
from pipeline.request.quantities import Curve, Fact, is_closed, leaves
from pipeline.verdicts.bootstrap import DRAWS
from pipeline.verdicts.decide import ClaimVerdict, Verdict

SIGNS = {"above": ">", "below": "<", "at_least": "≥", "at_most": "≤", "between": "between"}
AXES = {
    "difference": "difference in {}",
    "ratio": "ratio of {}",
    "level": "{}",
    "ratio difference": "difference of ratios of {}",
    "levels": "position of the first level ({})",
}
CHANGES = ("difference", "ratio difference")


@dataclass(frozen=True)
class PartView:
    """One row of a claim's forest plot, in words and drawn; `details` are pairs for the fold-out."""

    label: str
    status: str
    strip: Markup
    effect: str
    interval: str
    claimed: str
    size: str
    scope: str
    note: str
    details: tuple[tuple[str, str], ...]
    missing: tuple[str, ...] = ()


@dataclass(frozen=True)
class ClaimView:
    """One claim with its rows and the ends of their common axis."""

    name: str
    text: str
    status: str
    metric: str
    published: str
    axis: tuple[str, str]
    axis_label: str
    parts: tuple[PartView, ...]


@dataclass(frozen=True)
class _Scale:
    """The numbers of one part on the scale that is drawn: a difference, a ratio, a level or positions of levels."""

    centre: float
    interval: tuple[float, float]
    decisive: tuple[float, float]
    threshold: float
    kind: str
    upper: float | None = None


def view_claim(claim: CompiledClaim, verdict: ClaimVerdict, metric: AnyMetric) -> ClaimView:
    """Everything that the page says about one claim."""
    scales = [_scale(part, v) for part, v in zip(claim.parts, verdict.parts, strict=True)]
    span = _span([s for s in scales if s is not None], metric)
    kind = next((s.kind for s in scales if s is not None), "difference")
    rows = zip(claim.parts, verdict.parts, scales, strict=True)
    parts = tuple(_view_part(part, v, scale, span, metric) for part, v, scale in rows)
    label = AXES[kind].format(metric.label)
    axis = (_words(span[0], kind, metric.unit), _words(span[1], kind, metric.unit))
    return ClaimView(
        claim.name,
        claim.text,
        verdict.status,
        metric.label,
        claim.published or "",
        axis,
        label,
        parts,
    )


def _scale(part: Part, verdict: Verdict) -> _Scale | None:
    if verdict.effect is None or verdict.interval is None or verdict.decisive is None:
        return None
    if (
        verdict.ratio is not None
        and verdict.decisive_ratio is not None
        and not part.by
        and math.isfinite(verdict.ratio[0])
    ):
        return _Scale(verdict.ratio[0], verdict.ratio[1:], verdict.decisive_ratio, part.times or 1.0, "ratio")
    if part.effect is not None:
        return _Scale(
            verdict.effect, verdict.interval, verdict.decisive, verdict.threshold, part.scale, verdict.upper
        )
    shift = 0.0 if part.kind == "between" else part.value or 0.0
    low, high = verdict.interval
    return _Scale(
        verdict.effect + shift,
        (low + shift, high + shift),
        (verdict.decisive[0] + shift, verdict.decisive[1] + shift),
        verdict.threshold + shift,
        "difference" if part.value is None else "level",
        verdict.upper,
    )


def _span(scales: Sequence[_Scale], metric: AnyMetric) -> tuple[float, float]:
    """The common axis: all intervals and thresholds, and zero (or one) for contrasts, with a margin."""
    values = [
        v
        for s in scales
        for v in (
            s.centre,
            *s.interval,
            *s.decisive,
            s.threshold,
            s.threshold if s.upper is None else s.upper,
        )
        if math.isfinite(v)
    ]
    values += [0.0 if s.kind in CHANGES else 1.0 for s in scales if s.kind != "level"]
    low, high = min(values, default=-1.0), max(values, default=1.0)
    margin = 0.06 * (high - low) or 0.5
    if metric.unit == "share" and all(s.kind == "level" for s in scales):
        return max(low - margin, 0.0), min(high + margin, 1.0)
    if low >= 0 and all(s.kind == "ratio" for s in scales):
        return max(low - margin, 0.0), high + margin
    return low - margin, high + margin


def _words(value: float, kind: str, unit: UnitKind) -> str:
    if kind == "ratio":
        return f"×{value:.2f}".replace("-", "−") if math.isfinite(value) else "∞"
    if kind in ("ratio difference", "levels"):
        return format_value(value, "number", signed=True)
    return format_value(value, unit, signed=kind == "difference")


def _view_part(
    part: Part, verdict: Verdict, scale: _Scale | None, span: tuple[float, float], metric: AnyMetric
) -> PartView:
    claimed = _claimed(part, metric)
    if scale is None:
        blank = PartView(part.label, verdict.status, Markup(""), "", "", claimed, "", "", verdict.note, ())
        return replace(blank, missing=verdict.missing)
    effect = _words(scale.centre, scale.kind, metric.unit)
    low, high = (_words(limit, scale.kind, metric.unit) for limit in scale.interval)
    bare = low.removesuffix(" pp").removesuffix(" %")
    interval = f"[{bare}, {high.removesuffix(' pp').removesuffix(' %')}]"
    words = f"{part.label}: {effect} {interval}, claimed {claimed}: {verdict.status}"
    strip = draw_strip(
        centre=scale.centre,
        interval=scale.interval,
        decisive=scale.decisive,
        threshold=scale.threshold,
        upper=scale.upper,
        claims_larger=part.claims_larger,
        span=span,
        status=verdict.status,
        words=words,
    )
    size = _describe_size(part, verdict)
    return PartView(
        part.label,
        verdict.status,
        strip,
        effect,
        interval,
        claimed,
        size,
        verdict.scope,
        verdict.note,
        _details(part, verdict, scale, metric),
    )


def _claimed(part: Part, metric: AnyMetric) -> str:
    """The claim of a part as a reader's inequality on the scale that is drawn."""
    sign = SIGNS[part.kind]
    if part.times is not None and not part.by and part.effect is None:
        return f"{sign} ×{part.times:g}"
    if part.kind == "between":
        kind = part.scale if part.effect is not None else "level"
        low, high = part.value or 0.0, part.high or 0.0
        return f"{sign} {_words(low, kind, metric.unit)} and {_words(high, kind, metric.unit)}"
    bound = part.threshold + (part.value or 0.0)
    if part.effect is not None:
        return f"{sign} {_words(bound, part.scale, metric.unit)}" if bound else f"{sign} 0"
    if part.value is not None:
        return f"{sign} {format_value(bound, metric.unit)}"
    return (
        f"{sign} {format_value(part.threshold, metric.unit, signed=True)}" if part.threshold else f"{sign} 0"
    )


def _details(part: Part, verdict: Verdict, scale: _Scale, metric: AnyMetric) -> tuple[tuple[str, str], ...]:
    unit = metric.unit
    kind = part.scale if part.effect is not None else "difference"
    low, high = verdict.decisive or (math.nan, math.nan)
    rows = []
    if part.effect is None:
        rows.append(("left side", format_value(verdict.left if verdict.left is not None else math.nan, unit)))
        if verdict.right is not None:
            rows.append(("right side", format_value(verdict.right, unit)))
    times = "" if part.times is None else f"{part.times:g}·"
    contrast = f"left − {times}right" if part.value is None else f"left − {format_value(part.value, unit)}"
    if part.effect is not None or part.kind == "between":
        contrast = "effect"
    rows += [
        (
            contrast,
            f"{_words(verdict.effect or 0.0, kind, unit)}, claimed {_claimed_detail(part, verdict, kind, metric)}",
        ),
        (
            "decided at",
            f"{100 * verdict.level:.4g} % (Holm), interval [{_words(low, kind, unit)}, {_words(high, kind, unit)}]",
        ),
        ("p of the threshold", "< 0.0001" if verdict.p_value < 1e-4 else f"{verdict.p_value:.4f}"),
    ]
    if part.effect is None or is_closed(part.effect):
        rows.append(("degrees of freedom", "∞" if verdict.df is None else f"{verdict.df:.1f}"))
    else:
        rows.append(("draws", f"{DRAWS:,}"))
    return tuple(rows)


def _claimed_detail(part: Part, verdict: Verdict, kind: str, metric: AnyMetric) -> str:
    if part.effect is not None or part.kind == "between":
        return _claimed(part, metric)
    return f"{SIGNS[part.kind]} {_words(verdict.threshold, kind, metric.unit)}"


def _describe_size(part: Part, verdict: Verdict) -> str:
    """How much stands behind a part: problems, logged steps or rows, by replicates."""
    below = [] if part.effect is None else list(leaves(part.effect))
    word = "problems"
    if below and all(isinstance(leaf, Curve) for leaf in below):
        word = "logged steps"
    elif below and all(isinstance(leaf, Fact) for leaf in below):
        return f"{verdict.n_problems:,} rows"
    replicates = f"{verdict.n_replicates} replicate{'s' * (verdict.n_replicates != 1)}"
    return f"{verdict.n_problems:,} {word} × {replicates}" if verdict.n_problems else replicates
