"""Lint of a study: what is valid and still likely not what its author wants. Warnings, never refusals."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pipeline import stages
from pipeline.errors import Location
from pipeline.plan.compiled import Plan, StudyPlan


def lint(plan: Plan) -> list[str]:
    """All warnings, each one line with a place where there is one."""
    return [f"warning: {line}" for study in plan.studies for check in CHECKS for line in check(plan, study)]


def _one_replicate(_: Plan, study: StudyPlan) -> Iterator[str]:
    if study.claims and len(study.study.spec.replicates.seeds) == 1:
        yield "one replicate: the claims speak of these checkpoints, not of training in general; set `replicates`"


def _greedy_repeats(_: Plan, study: StudyPlan) -> Iterator[str]:
    for name in study.study.measures:
        settings = study.study.measures[name].values
        if settings.get("temperature") == 0 and settings.get("samples", 1) != 1:
            where = study.study.document.locate(("measure", name), key=True)
            yield f"{where}: measure {name!r} is greedy: its {settings['samples']} samples per problem are one"


def _trained_on_the_test(plan: Plan, study: StudyPlan) -> Iterator[str]:
    """Problems that are measured and also, from the same source, trained on."""
    problems = {dict(plan.artifacts[unit.completions].inputs)["problems"][0] for unit in study.lowered.units}
    rows = {key for run in study.lowered.runs for key in dict(plan.artifacts[run.key].inputs).get("data", ())}
    measured = {source for key in problems for source in _sources(plan, key)}
    trained = {source for key in rows for source in _sources(plan, key)}
    for key in sorted(measured & trained):
        yield f"{plan.artifacts[key].title} is both measured and trained on; decontaminate it or use another split"


def _sources(plan: Plan, key: str) -> set[str]:
    artifact = plan.artifacts[key]
    if artifact.stage == "source":
        return {key}
    inputs = dict(artifact.inputs)
    return {s for parent in inputs.get("rows", ()) for s in _sources(plan, parent)}


HEEDED = {
    "loss": ("algorithm", "grpo"),
    "scale_rewards": ("algorithm", "grpo"),
    "whiten_advantages": ("algorithm", "rloo"),
    "min_lr_ratio": ("schedule", "cosine_with_min_lr"),
}
"""Settings of a training that count with one choice of another setting only."""


def _unheeded(_: Plan, study: StudyPlan) -> Iterator[str]:
    """Settings that no level heeds which has them: they change nothing, and still name other artifacts."""
    heeded: dict[tuple[Location, str], bool] = {}
    for factor in study.study.factors.values():
        for level in factor.levels.values() if factor.kind in stages.trainings() else ():
            if level.settings is None:
                continue
            values = level.settings.values
            for word in HEEDED.keys() & values.keys():
                other, choice = HEEDED[word]
                chosen = str(values.get(other, "cosine"))
                where = level.settings.locator(study.study.document)((word,), True)
                is_default = values[word] == stages.load(factor.kind).config.model_fields[word].default
                is_heeded = chosen == choice or "${" in chosen or is_default
                heeded[where, word] = heeded.get((where, word), False) or is_heeded
    for (where, word), is_heeded in sorted(heeded.items()):
        if not is_heeded:
            yield f"{where}: {word} changes nothing without {': '.join(HEEDED[word])}"


def _unused(_: Plan, study: StudyPlan) -> Iterator[str]:
    """Recipes and data that the file names nowhere else: often a name that was meant and written otherwise."""
    spec, document = study.study.spec, study.study.document
    inherited, words = set(_texts(document.value, "inherits")), set(_texts(document.value))
    words |= {word.split(".")[1] for word in words if word.startswith("data.") and word.count(".") > 1}
    for name in spec.recipes:
        if name not in inherited:
            yield f"{document.locate(('recipes', name), key=True)}: nothing inherits recipe {name!r}"
    for name in spec.data:
        if name not in words and name not in spec.measure:
            yield f"{document.locate(('data', name), key=True)}: nothing uses data {name!r}"


def _texts(value: Any, key: str | None = None) -> Iterator[str]:
    """The texts in a value; only those under one key where one is given."""
    if isinstance(value, Mapping):
        for name, item in value.items():
            yield from _texts(item, None if name == key else key)
    elif isinstance(value, tuple):
        for item in value:
            yield from _texts(item, key)
    elif isinstance(value, str) and key is None:
        yield value


CHECKS = (_one_replicate, _greedy_repeats, _trained_on_the_test, _unheeded, _unused)
