"""File → Study: shape first, then meaning, every error of the file in one go."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from pipeline.errors import Problem, SpecErrors, suggest
from pipeline.locate import Document, parse_yaml, read_yaml
from pipeline.spec.base import check_name
from pipeline.spec.levels import Problems, Settings, inherit
from pipeline.spec.lock import FILE_NAME, read_lock
from pipeline.spec.models import Spec
from pipeline.spec.problems import place_in, problems_of
from pipeline.spec.study import TRAINED_BY, Factor, Level, Study

DEFAULT_CHAIN = ("model", "sft", "rl")
_PARTS = (
    "data",
    "policies",
    "judges",
    "claims",
    "measure",
    "recipes",
    "factors",
    "published",
    "cells",
    "figures",
    "tables",
)


def read_study(path: Path, *, shown: str | None = None) -> tuple[Study, Problems]:
    """Read a spec; returns the study with the problems found, or raises SpecErrors if it has no shape.

    The middle (`design`, `plan`) goes on collecting problems in the same list; `raise_problems` ends it.
    """
    return study_of(read_yaml(path, shown=shown), path.parent / FILE_NAME)


def parse_study(text: str, *, file: str = "study.yaml") -> tuple[Study, Problems]:
    """The same for a text that is in no file; nothing is pinned."""
    return study_of(parse_yaml(text, file), Path(file).parent / FILE_NAME)


def raise_problems(problems: list[Problem]) -> None:
    """Raise all problems at once, if there are any."""
    if problems:
        raise SpecErrors(dict.fromkeys(problems))


def study_of(document: Document, lock_path: Path) -> tuple[Study, Problems]:
    """Build the study of a parsed document."""
    problems = Problems(document)
    if not isinstance(document.value, dict):
        problems.add(
            (), "a study is a mapping that starts with `study: NAME`", "`studyc new NAME` writes one."
        )
        raise_problems(problems)
    spec, broken = _shape(document, problems)
    factors, chain = _factors(spec, problems)
    study = Study(
        spec=spec,
        document=document,
        factors=factors,
        chain=chain,
        measures=_measures(spec, problems),
        lock=read_lock(lock_path),
        broken=broken,
    )
    return study, problems


def _shape(document: Document, problems: Problems) -> tuple[Spec, frozenset[str]]:
    """Validate the file's shape; parts with errors are left out so that the rest is checked as well."""
    raw = dict(document.value)
    broken: set[str] = set()
    for _ in range(3):
        try:
            return Spec.model_validate(raw), frozenset(broken)
        except ValidationError as error:
            found = problems_of(error, Spec, place_in(document))
            problems.extend(
                p for p in found if not any(p.what == f"the study lacks {name!r}" for name in broken)
            )
            for item in error.errors(include_url=False, include_input=False, include_context=False):
                raw = _without(raw, item["loc"], item["type"], broken)
    raise_problems(problems)
    raise AssertionError("unreachable: a spec without a shape has problems")


def _without(raw: dict[str, Any], path: tuple[Any, ...], kind: str, broken: set[str]) -> dict[str, Any]:
    """The file without the smallest part that holds an error; an unknown key alone goes by itself."""
    if not path:
        return raw
    if kind == "extra_forbidden":
        return _without_key(raw, path)
    top = path[0]
    part = raw.get(top)
    if top in _PARTS and isinstance(part, dict) and len(path) > 1:
        broken.add(f"{top}.{path[1]}")
        return {**raw, top: {key: value for key, value in part.items() if key != path[1]}}
    broken.add(str(top))
    rest = {key: value for key, value in raw.items() if key != top}
    return {**rest, "study": "unnamed"} if top == "study" else rest


def _without_key(value: Any, path: tuple[Any, ...]) -> Any:
    """A copy of nested values without the key at a path."""
    head, *rest = path
    if isinstance(value, dict) and head in value:
        if not rest:
            return {key: item for key, item in value.items() if key != head}
        return {**value, head: _without_key(value[head], tuple(rest))}
    if isinstance(value, tuple) and isinstance(head, int) and head < len(value) and rest:
        return (*value[:head], _without_key(value[head], tuple(rest)), *value[head + 1 :])
    return _without_key(value, tuple(rest)) if rest else value


def _factors(spec: Spec, problems: Problems) -> tuple[dict[str, Factor], tuple[str, ...]]:
    kinds = _chain(spec, problems)
    factors = {}
    for name, levels in spec.factors.items():
        kind = kinds.get(name, "value")
        factors[name] = Factor(name, kind, _levels(spec, name, kind, levels, problems))
        if not factors[name].levels:
            problems.add(("factors", name), f"factor {name!r} has no level", "Name at least one.", key=True)
    if "model" not in factors:
        problems.add(
            ("factors",),
            "there is no factor 'model'",
            "Declare the models: factors: {model: {NAME: …}}.",
            key=True,
        )
    return factors, tuple(name for name in kinds if name in factors)


def _chain(spec: Spec, problems: Problems) -> dict[str, str]:
    """The training factors in order: name → model, sft or rl."""
    if spec.chain is None:
        return {name: name for name in DEFAULT_CHAIN if name in spec.factors}
    kinds: dict[str, str] = {}
    for i, entry in enumerate(spec.chain):
        pairs = {entry: entry} if isinstance(entry, str) else entry
        for name, kind in pairs.items():
            if name not in spec.factors:
                problems.add(
                    ("chain", i), f"the chain names an unknown factor {name!r}", suggest(name, spec.factors)
                )
            elif kind not in ("model", *TRAINED_BY):
                remedy = f"Write {{{name}: sft}} or {{{name}: rl}}."
                problems.add(("chain", i), f"the chain does not say what factor {name!r} trains", remedy)
            elif name in kinds:
                problems.add(
                    ("chain", i),
                    f"factor {name!r} stands twice in the chain",
                    "Give the second phase a factor of its own.",
                )
            else:
                kinds[name] = kind
    if kinds and (next(iter(kinds.values())) != "model" or list(kinds.values()).count("model") != 1):
        problems.add(
            ("chain",), "the chain must begin with the one factor of kind 'model'", "Write chain: [model, …]."
        )
    return kinds


def _levels(spec: Spec, factor: str, kind: str, raw: Any, problems: Problems) -> dict[str, Level]:
    items = raw.items() if isinstance(raw, dict) else _bare_levels(factor, raw, problems)
    levels: dict[str, Level] = {}
    for i, (name, value) in enumerate(items):
        path = ("factors", factor, name) if isinstance(raw, dict) else ("factors", factor, i)
        settings = None
        if isinstance(value, dict):
            settings = inherit(value, path, spec.recipes, problems)
        elif kind in TRAINED_BY and value is not None:
            problems.add(
                path,
                f"level {name!r} of {factor!r}: {value!r} is no recipe",
                "Write a mapping, or leave it empty to skip the stage.",
            )
            continue
        elif kind == "model" and not isinstance(value, str):
            problems.add(
                path,
                f"model {name!r}: {value!r} is no model",
                "Write a hub name, {path: FOLDER} or {tiny: …}.",
            )
            continue
        elif kind == "model":
            settings = Settings({"hub": value}, {"hub": path}, path)
        levels[name] = Level(name, value, settings)
    return levels


def _bare_levels(factor: str, raw: tuple[Any, ...], problems: Problems) -> list[tuple[str, Any]]:
    levels = []
    for i, value in enumerate(raw):
        name = str(value)
        try:
            check_name(name)
        except ValueError as error:
            problems.add(
                ("factors", factor, i), f"level: {error}", "Write {name: value} to give it a safe name."
            )
            continue
        if name in dict(levels):
            problems.add(("factors", factor, i), f"level {name!r} is given twice", "Remove one.")
            continue
        levels.append((name, value))
    return levels


def _measures(spec: Spec, problems: Problems) -> dict[str, Settings]:
    base = inherit(spec.sampling, ("sampling",), spec.recipes, problems)
    measures = {}
    for name, raw in spec.measure.items():
        own = inherit(raw or {}, ("measure", name), spec.recipes, problems)
        values = {**base.values, **own.values}
        origins = {**base.origins, **own.origins}
        measures[name] = Settings(values, origins, own.path, base.references | own.references)
    return measures
