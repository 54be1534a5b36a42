"""A cell's levels and measures → demands for what they say, shared by cells that agree on all that is referred to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipeline.errors import suggest
from pipeline.plan.cells import Cell
from pipeline.plan.lower.answers import Protocol, Training
from pipeline.plan.lower.demands import ModelOf, ProtocolOf, References, TrainingOf
from pipeline.plan.lower.resolver import Resolver
from pipeline.spec.levels import Problems, Settings, place_of_reference, split_reference
from pipeline.spec.study import Study


def find_model(resolver: Resolver, factor: str, cell: Cell) -> ModelOf | None:
    """The demand for a cell's base model; None where its level is broken."""
    references = _of_level(resolver, factor, cell)
    return None if references is None else ModelOf(factor, cell.level(factor), references)


def find_training(resolver: Resolver, factor: str, cell: Cell) -> Training | None:
    """The recipe of a cell's level of a training factor; None where the level is broken or skips its stage."""
    references = _of_level(resolver, factor, cell)
    return None if references is None else resolver.get(TrainingOf(factor, cell.level(factor), references))


def find_protocol(resolver: Resolver, measure: str, cell: Cell) -> Protocol | None:
    """The sampling protocol of a measure in a cell; None where it is broken."""
    settings = resolver.study.measures[measure]
    references = _references(resolver, settings, cell)
    if settings.is_broken or references is None:
        return None
    return resolver.get(ProtocolOf(measure, references))


def _of_level(resolver: Resolver, factor: str, cell: Cell) -> References | None:
    level = resolver.study.factors[factor].levels[cell.level(factor)]
    if level.is_skipped or level.settings is None or level.settings.is_broken:
        return None
    return _references(resolver, level.settings, cell)


def _references(resolver: Resolver, settings: Settings, cell: Cell) -> References | None:
    """The values of the references that some settings make, in a cell; None after noting unknown ones."""
    if not settings.references:
        return _NONE
    factors, problems = resolver.study.factors, resolver.problems
    known: dict[str, Any] = {}
    for reference in settings.references:
        factor, key = split_reference(reference, factors)
        level = factors[factor].levels.get(cell.level(factor)) if factor in factors else None
        if level is None:
            if not problems.is_broken("factors", factor):
                what = f"${{{reference}}} refers to an unknown factor {factor!r}"
                problems.add(place_of_reference(settings, reference), what, suggest(factor, factors))
        elif key:
            values = level.settings.values if level.settings else {}
            if key not in values:
                what = f"${{{reference}}}: level {level.name!r} of {factor!r} has no {key!r}"
                problems.add(place_of_reference(settings, reference), what, suggest(key, values))
            else:
                known[reference] = values[key]
        else:
            known[reference] = level.name if isinstance(level.value, Mapping) else level.value
    if len(known) < len(settings.references):
        return None
    return References(repr(sorted(known.items())), known)


def check_levels(resolver: Resolver, first: Cell) -> None:
    """Read every level and every measure, beside the other levels of one cell: an error in an unused one is an error."""
    study = resolver.study
    for axis, factor in enumerate(study.factors.values()):
        for level in factor.levels:
            probe = Cell(first.factors, (*first.levels[:axis], level, *first.levels[axis + 1 :]))
            if factor.kind == "model":
                model = find_model(resolver, factor.name, probe)
                if model is not None:
                    resolver.get(model)
            elif factor.kind != "value":
                find_training(resolver, factor.name, probe)
    for measure in study.measures:
        find_protocol(resolver, measure, first)
    _check_values(study, resolver.problems)


def _check_values(study: Study, problems: Problems) -> None:
    """A further factor that nothing refers to changes nothing: that is an error, not a choice."""
    if problems.is_broken("chain", ""):
        return
    levels = [level for factor in study.factors.values() for level in factor.levels.values()]
    settings = [*(level.settings for level in levels if level.settings), *study.measures.values()]
    used = {split_reference(name, study.factors)[0] for each in settings for name in each.references}
    for factor in study.factors.values():
        if factor.kind == "value" and factor.name not in used and len(factor.levels) > 1:
            problems.add(
                ("factors", factor.name),
                f"factor {factor.name!r} changes nothing: no level and no measure refers to ${{{factor.name}}}",
                "Use ${" + factor.name + "} where it should matter, or name it in `chain` if it trains.",
                key=True,
            )


_NONE = References("", {})
