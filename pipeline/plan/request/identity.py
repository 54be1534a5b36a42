"""What the key of a report digests: what it measures, claims and shows, but no title and no question.

The form is fixed: keys made from it name reports on disk. A metric is spelled by its name, and the fields of later
forms stand there only where they are used, so that what was written before stays named alike.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pipeline.fingerprint import canonical_json, digest
from pipeline.plan.request.shown import Shown
from pipeline.request.claims import CompiledClaim, Part
from pipeline.request.metrics import AnyMetric, Conditional, RewardValue
from pipeline.request.units import Unit


def digest_request(
    units: Sequence[Unit],
    claims: Iterable[CompiledClaim],
    conditional: Mapping[str, Conditional],
    shown: Shown,
) -> str:
    """The digest of a study's units, claims, metrics over a part of the responses, figures, tables and numbers."""
    cells = [
        [
            list(unit.cell.items()),
            unit.replicate,
            unit.step,
            unit.measure,
            unit.scores,
            list(unit.analyses.items()),
        ]
        for unit in units
    ]
    decided = [
        [claim.name, claim.metric.name, claim.text, claim.published, [_spell_part(p) for p in claim.parts]]
        for claim in sorted(claims, key=lambda claim: claim.name)
    ]
    published = [_spell(number) for number in shown.published]
    metrics = [[name, _spell_conditional(metric)] for name, metric in sorted(conditional.items())]
    drawn = [_spell(item) for item in (*(shown.figures or ()), *shown.tables)]
    later = [part for part in (metrics, drawn) if part]
    measured = json.dumps(
        cells, separators=(",", ":"), ensure_ascii=False
    )  # text, integers and null: canonical as it is
    parts = [canonical_json(part) for part in (decided, published, *later)]
    return digest(f"[{','.join([measured, *parts])}]")


def _spell_part(part: Part) -> list[Any]:
    """What decides a part; the fields of later forms only where they are used."""
    later = [part.high, None if part.effect is None else _spell(part.effect)]
    plain = [part.label, part.kind, part.left, part.right, part.by, part.times, part.value]
    return [*plain, *(later if any(x is not None for x in later) else [])]


def _spell(value: Any) -> Any:
    """Plain values, as `dataclasses.asdict` gives them, with each metric by its name."""
    if isinstance(value, AnyMetric):
        return value.name
    if dataclasses.is_dataclass(value):
        return {field.name: _spell(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {key: _spell(item) for key, item in value.items()}
    return [_spell(item) for item in value] if isinstance(value, (list, tuple)) else value


def _spell_conditional(metric: Conditional) -> dict[str, Any]:
    """A metric over a part of the responses as the words that a study writes."""
    return {
        "statistic": metric.statistic,
        "column": metric.column.spelling,
        "given": {condition.column.spelling: condition.wanted for condition in metric.conditions},
        "params": metric.column.params if isinstance(metric.column, RewardValue) else {},
    }
