"""Claims of a study → comparisons of quantities, checked to refer to what some run produces."""

from __future__ import annotations

import itertools

from pipeline.plan.cells import chosen_levels
from pipeline.plan.lower.cells import Lowered
from pipeline.plan.request.claim_parts import ClaimParts
from pipeline.plan.request.metrics import Metrics
from pipeline.plan.request.quantities import Quantities
from pipeline.plan.request.read_claim import ClaimReader, ReadClaim
from pipeline.plan.request.wording import describe_claim
from pipeline.request.claims import CompiledClaim, Part
from pipeline.request.figures import MEASURE
from pipeline.spec.levels import Problems
from pipeline.spec.study import Study


def compile_claims(lowered: Lowered, problems: Problems, metrics: Metrics) -> tuple[CompiledClaim, ...]:
    """Every claim of a study with its parts; problems are noted where a claim cannot be decided."""
    reader = ClaimReader(lowered.study, problems, metrics)
    quantities = Quantities(lowered, problems, metrics)
    compiled = []
    for name, spec in lowered.study.spec.claims.items():
        claim = reader.read(spec, ("claims", name))
        found = None if claim is None else _compile(name, claim, lowered.study, quantities)
        if found is not None:
            compiled.append(found)
    return tuple(compiled)


def _compile(name: str, claim: ReadClaim, study: Study, quantities: Quantities) -> CompiledClaim | None:
    parts: list[Part] = []
    for fixed in _each(claim, study):
        found = ClaimParts(quantities, claim, fixed, ("claims", name)).parts()
        if found is None:
            return None
        parts += found
    return CompiledClaim(
        name=name,
        text=claim.spec.text or describe_claim(claim),
        metric=claim.shown_metric,
        parts=tuple(parts),
        published=claim.spec.published,
    )


def _each(claim: ReadClaim, study: Study) -> list[dict[str, str]]:
    """One fixing per combination of levels of `for_each` that the other selectors allow."""
    axes = []
    for factor in claim.spec.for_each:
        wanted = set(chosen_levels(claim.where[factor])) if factor in claim.where else None
        levels = study.measures if factor == MEASURE else study.factors[factor].levels
        axes.append([level for level in levels if wanted is None or level in wanted])
    return [
        dict(zip(claim.spec.for_each, combination, strict=True)) for combination in itertools.product(*axes)
    ]
