"""Policies by name: models that make data or judge, from outside or from the study's own cells.

`{of: {sft: phase1}}` is the policy of the cell that asks, with these levels and without any training that is
not named: so data that it makes are made once per level of whatever else differs, and per seed of its trainings.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from pipeline.errors import shown, suggest
from pipeline.locate import PathTuple
from pipeline.plan.cells import Cell, check_selector, chosen_levels
from pipeline.plan.lower.base_models import read_model
from pipeline.plan.lower.recipes import Recipe
from pipeline.spec.levels import Problems, Settings, inherit
from pipeline.spec.study import Study


@dataclass(frozen=True)
class At:
    """Who asks for data: a cell and its replicate's seed."""

    cell: Cell
    replicate: int
    seed: int
    shift: int = 0


class Policies:
    """Resolves the names under `policies`; problems are collected."""

    def __init__(self, study: Study, problems: Problems) -> None:
        self.study = study
        self.problems = problems
        self.base: Callable[[Recipe, str], str | None] = lambda recipe, title: None
        """Adds the artifact of a model from outside; set by the lowering that owns the graph."""
        self.own: Callable[[At, frozenset[str]], str | None] = lambda at, trainings: None
        """The key of a cell's policy after these trainings only; set by the lowering."""
        self._outside: dict[str, str | None] = {}

    def is_own(self, name: str) -> bool:
        """Whether a policy is one of the study's own, so that it depends on the cell that asks."""
        given = self.study.spec.policies.get(name)
        return isinstance(given, Mapping) and "of" in given

    def check_all(self) -> None:
        """Note what is wrong with policies that nothing uses, too."""
        for name in self.study.spec.policies:
            if self.is_own(name):
                self._selector(name)
            else:
                self._from_outside(name)

    def key(self, name: Any, path: PathTuple, at: At | None = None) -> str | None:
        """The artifact of a policy for whoever asks at `path`; None after noting what is wrong."""
        known = self.study.spec.policies
        if name is None:
            self.problems.add(
                path, f"{'.'.join(map(str, path))} names no policy", "Name one of `policies`.", key=True
            )
            return None
        if not isinstance(name, str) or name not in known:
            if not self.problems.is_broken("policies", name):
                remedy = suggest(str(name), known) if known else "Declare it under `policies`."
                self.problems.add(path, f"policy {shown(name)} is unknown", remedy)
            return None
        if not self.is_own(name):
            return self._from_outside(name)
        levels = self._selector(name)
        if levels is None:
            return None
        if at is None:
            self.problems.add(
                path,
                f"policy {name!r} is one of the study's own cells, and what asks for it here belongs to no cell",
                "Name a policy from outside here.",
            )
            return None
        return self.own(replace(at, cell=_with_levels(at.cell, levels)), frozenset(levels))

    def _selector(self, name: str) -> dict[str, str] | None:
        """The levels of `{of: …}`: one each."""
        path = ("policies", name)
        given = self.study.spec.policies[name]
        for key in given:
            if key != "of":
                self.problems.add((*path, key), f"unknown key {key!r} beside 'of'", "Remove it.", key=True)
        chosen = given["of"] if given["of"] is not None else {}
        if not isinstance(chosen, Mapping):
            self.problems.add((*path, "of"), f"of is {shown(chosen)}", "Write of: {factor: level}.")
            return None
        if not check_selector(self.study, chosen, (*path, "of"), self.problems):
            return None
        levels = {factor: chosen_levels(level) for factor, level in chosen.items()}
        for factor, names in levels.items():
            if len(names) != 1:
                what = f"policy {name!r} names {len(names)} levels of {factor!r}"
                self.problems.add((*path, "of", factor), what, "Name one: a policy is one model.")
                return None
        return {factor: names[0] for factor, names in levels.items()}

    def _from_outside(self, name: str) -> str | None:
        if name not in self._outside:
            given, path = self.study.spec.policies[name], ("policies", name)
            settings = (
                Settings({"hub": given}, {"hub": path}, path)
                if isinstance(given, str)
                else inherit(given, path, self.study.spec.recipes, self.problems)
            )
            recipe = None
            if not settings.is_broken:
                recipe = read_model(self.study, name, settings, settings.values, self.problems)
            self._outside[name] = None if recipe is None else self.base(recipe, f"policy {name}")
        return self._outside[name]


def _with_levels(cell: Cell, levels: Mapping[str, str]) -> Cell:
    """A cell with some levels replaced."""
    chosen = [levels.get(f, level) for f, level in zip(cell.factors, cell.levels, strict=True)]
    return Cell(cell.factors, tuple(chosen))
