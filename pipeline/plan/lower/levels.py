"""Levels that no cell uses are checked, too: an error there is an error."""

from __future__ import annotations

from pipeline.plan.cells import Cell
from pipeline.plan.lower.recipes import find_model, find_protocol, find_training
from pipeline.plan.lower.resolver import Resolver
from pipeline.spec.levels import Problems, split_reference
from pipeline.spec.study import Study


def check_levels(resolver: Resolver, first: Cell) -> None:
    """Read every level and every measure, beside the other levels of one cell."""
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
