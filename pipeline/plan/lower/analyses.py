"""`analyses: [NAME, {NAME: {judge: …, measures: …, only: …, parameters}}]` → configurations of stage `analyse`, and what else they read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline import analyses as catalogue
from pipeline import stages
from pipeline.errors import shown, suggest
from pipeline.fingerprint import Config
from pipeline.locate import PathTuple
from pipeline.plan.cells import Cell, is_selected
from pipeline.plan.graph import Graph
from pipeline.plan.lower.answers import Inputs, Judge, Selectors
from pipeline.plan.lower.entry import validate_entry
from pipeline.plan.lower.judges import find_judge
from pipeline.plan.lower.only import ONLY, read_only
from pipeline.plan.lower.resolver import Resolver
from pipeline.spec.levels import Problems
from pipeline.spec.problems import place_in
from pipeline.spec.study import Study

MEASURES = "measures"
"""The word of a study, beside `only` and an analysis's own parameters: whose responses it reads."""


@dataclass(frozen=True)
class Analysis:
    """An analysis of a study: its configuration, its judge if it needs one, whether it counts the policy's tokens."""

    name: str
    config: Config
    judge: Judge | None = None
    needs_tokenizer: bool = False
    measures: tuple[str, ...] | None = None
    """The measures whose responses it reads; all when None."""
    only: Selectors = ()
    """Selectors of the cells and checkpoints whose responses it reads; all when empty."""
    path: PathTuple = ()
    """Where the study names it."""

    def is_taken(self, cell: Cell, step: int | None, measure: str) -> bool:
        """Whether it reads the responses of a cell (at a checkpoint) to a measure."""
        if self.measures is not None and measure not in self.measures:
            return False
        return not self.only or any(is_selected(cell, step, selector) for selector in self.only)


def add_measures(
    graph: Graph,
    analyses: Sequence[Analysis],
    completions: str,
    policy: str,
    title: str,
    name: str,
) -> dict[str, str]:
    """Add the analyses of one completions artifact, and the verdicts that they read; analysis → key."""
    asked = {analysis.judge.name: analysis.judge for analysis in analyses if analysis.judge is not None}
    verdicts = {
        judge.name: graph.add(
            "judge",
            judge.config,
            0,
            judge.inputs("completions", completions),
            f"{title} · judge {judge.name}",
            f"{name}-{judge.config.judge}",
        )
        for judge in asked.values()
    }
    measured = {}
    for analysis in analyses:
        inputs: Inputs = {
            "completions": (completions,),
            **({"verdicts": (verdicts[analysis.judge.name],)} if analysis.judge is not None else {}),
            **({"policy": (policy,)} if analysis.needs_tokenizer else {}),
        }
        own_title, own_name = f"{title} · {analysis.name}", f"{name}-{analysis.name}"
        measured[analysis.name] = graph.add("analyse", analysis.config, 0, inputs, own_title, own_name)
    return measured


def read_analyses(resolver: Resolver) -> list[Analysis]:
    """The analyses of a study in order; those with problems are left out after noting them."""
    problems = resolver.problems
    found: list[Analysis] = []
    named: set[str] = set()
    for index, raw in enumerate(resolver.study.spec.analyses):
        place: PathTuple = ("analyses", index)
        if isinstance(raw, dict) and len(raw) != 1:
            what = "an analysis is one name with its parameters"
            problems.add(place, what, "Write one list item per analysis.")
            continue
        name, params = (raw, None) if isinstance(raw, str) else next(iter(raw.items()))
        path = place if isinstance(raw, str) else (*place, name)
        params = {} if params is None else params
        if not isinstance(params, Mapping):
            what = f"the parameters of analysis {name!r} are {shown(params)}"
            problems.add(path, what, f"Write a mapping: {{{name}: {{key: value}}}}.")
            continue
        if name in named:
            problems.add(path, f"analysis {name!r} is named twice", "Keep one of the two.", key=path != place)
            continue
        named.add(name)
        analysis = _read(resolver, name, params, path)
        if analysis is not None:
            found.append(analysis)
    return found


def _read(resolver: Resolver, name: str, params: Mapping[str, Any], path: PathTuple) -> Analysis | None:
    study, problems = resolver.study, resolver.problems
    asked = catalogue.needs_judge(name) if name in catalogue.names() else None
    of_study = (*(("judge",) if asked else ()), MEASURES, ONLY)
    words = {key: value for key, value in params.items() if key not in of_study}
    settled = validate_entry(
        catalogue, "analysis", name, words, (), place_in(problems.document, path), problems
    )
    judge = None
    if asked and "judge" in params:
        judge = find_judge(resolver, params["judge"], (*path, "judge"), kind=asked)
    elif asked:
        remedy = f"Write {{{name}: {{judge: NAME}}}} with a judge of the section `judges`."
        problems.add(path, f"analysis {name!r} needs a judge {asked!r}", remedy, key=len(path) > 2)
    measures = _read_measures(params.get(MEASURES), (*path, MEASURES), study, problems)
    only = read_only(params.get(ONLY), (*path, ONLY), study, problems)
    if settled is None or only is None or (asked and judge is None):
        return None
    config = stages.load("analyse").config.model_validate({"analysis": name, "params": settled.identity()})
    return Analysis(name, config, judge, catalogue.needs_tokenizer(name), measures, only, path)


def _read_measures(wanted: Any, path: PathTuple, study: Study, problems: Problems) -> tuple[str, ...] | None:
    """`measures: math500` or a list: whose responses an analysis reads; unknown names are noted."""
    if wanted is None:
        return None
    names = wanted if isinstance(wanted, tuple) else (wanted,)
    if not names:
        problems.add(path, "measures is empty", "Name at least one, or leave it out for all.")
    for i, name in enumerate(names):
        is_known = isinstance(name, str) and name in study.measures
        if not is_known and not problems.is_broken("measure", name):
            place = (*path, i) if isinstance(wanted, tuple) else path
            problems.add(place, f"measure {shown(name)} is unknown", suggest(name, study.measures))
    return tuple(names)
