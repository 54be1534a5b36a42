"""Policies by name: models that make data or judge, from outside or from the study's own cells.

`{of: {sft: phase1}}` is the policy of the cell that asks, with these levels and without any training that is
not named: so data that it makes are made once per level of whatever else differs, and per seed of its trainings.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipeline.errors import shown, suggest
from pipeline.locate import PathTuple
from pipeline.plan.cells import Cell, check_selector, chosen_levels
from pipeline.plan.lower.demands import At, BaseModel, OutsideModel, OwnPolicy, PolicyLevels
from pipeline.plan.lower.resolver import Resolver


def check_policies(resolver: Resolver) -> None:
    """Note what is wrong with policies that nothing uses, too."""
    for name in resolver.study.spec.policies:
        if resolver.facts.is_own_policy(name):
            resolver.get(PolicyLevels(name))
        else:
            resolver.get(_from_outside(name))


def find_policy(resolver: Resolver, name: Any, path: PathTuple, at: At | None = None) -> str | None:
    """The artifact of a policy for whoever asks at `path`; None after noting what is wrong."""
    known, problems = resolver.study.spec.policies, resolver.problems
    if name is None:
        what = f"{'.'.join(map(str, path))} names no policy"
        problems.add(path, what, "Name one of `policies`.", key=True)
        return None
    if not isinstance(name, str) or name not in known:
        if not problems.is_broken("policies", name):
            remedy = suggest(str(name), known) if known else "Declare it under `policies`."
            problems.add(path, f"policy {shown(name)} is unknown", remedy)
        return None
    if not resolver.facts.is_own_policy(name):
        return resolver.get(_from_outside(name))
    levels = resolver.get(PolicyLevels(name))
    if levels is None:
        return None
    if at is None:
        what = (
            f"policy {name!r} is one of the study's own cells, and what asks for it here belongs to no cell"
        )
        problems.add(path, what, "Name a policy from outside here.")
        return None
    asked = at._replace(cell=_with_levels(at.cell, levels))
    return resolver.get(OwnPolicy(asked, frozenset(levels)))


def read_levels(resolver: Resolver, demand: PolicyLevels) -> Mapping[str, str] | None:
    """The rule of `PolicyLevels`: the levels of `{of: …}`, one each."""
    name, problems = demand.name, resolver.problems
    path: PathTuple = ("policies", name)
    given = resolver.study.spec.policies[name]
    if isinstance(given, str):
        return None
    for key in given:
        if key != "of":
            problems.add((*path, key), f"unknown key {key!r} beside 'of'", "Remove it.", key=True)
    chosen = given["of"] if given["of"] is not None else {}
    if not isinstance(chosen, Mapping):
        problems.add((*path, "of"), f"of is {shown(chosen)}", "Write of: {factor: level}.")
        return None
    if not check_selector(resolver.study, chosen, (*path, "of"), problems):
        return None
    levels = {factor: chosen_levels(level) for factor, level in chosen.items()}
    for factor, names in levels.items():
        if len(names) != 1:
            what = f"policy {name!r} names {len(names)} levels of {factor!r}"
            problems.add((*path, "of", factor), what, "Name one: a policy is one model.")
            return None
    return {factor: names[0] for factor, names in levels.items()}


def _from_outside(name: str) -> BaseModel:
    return BaseModel(OutsideModel(name), f"policy {name}")


def _with_levels(cell: Cell, levels: Mapping[str, str]) -> Cell:
    """A cell with some levels replaced."""
    chosen = [levels.get(f, level) for f, level in zip(cell.factors, cell.levels, strict=True)]
    return Cell(cell.factors, tuple(chosen))
