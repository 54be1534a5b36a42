"""File → Study: shape first, then meaning, every error of the file in one go."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from pipeline.errors import Problem, SpecErrors, shown, suggest
from pipeline.locate import Document, parse_yaml, read_yaml
from pipeline.spec.base import check_name, level_name
from pipeline.spec.levels import Problems, Settings, inherit
from pipeline.spec.lock import FILE_NAME, Lock, read_lock
from pipeline.spec.models import Spec
from pipeline.spec.problems import place_in, problems_of
from pipeline.spec.study import Factor, Level, Study
from pipeline.stages import trainings

RESERVED = ("step", "measure", "metric", "values", "label")
"""Words of selectors, and of the rows of a published table, that stand beside the names of factors."""
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
    document = read_yaml(path, shown=shown)
    if path.name == FILE_NAME:
        what = "this is the lock file of the specs beside it, not a study"
        raise SpecErrors([Problem(what, "Name a study file.", document.locate(()))])
    return study_of(document, path.parent / FILE_NAME)


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
    spec = _shape(document, problems)
    _check_recipes(spec, problems)
    factors, chain = _factors(spec, problems)
    study = Study(
        spec=spec,
        document=document,
        factors=factors,
        chain=chain,
        measures=_measures(spec, problems),
        lock=_lock(lock_path, problems),
    )
    return study, problems


def _lock(path: Path, problems: Problems) -> Lock:
    """The pins beside the spec; the lock file's errors are shown with the spec's."""
    try:
        return read_lock(path)
    except SpecErrors as error:
        problems.extend(error.problems)
        return Lock(path)


def _check_recipes(spec: Spec, problems: Problems) -> None:
    """Note what is wrong with the inheritance of recipes that nothing uses, too."""
    checked: set[str] = set()
    for name, raw in spec.recipes.items():
        if name not in checked and str(raw.get("inherits")) not in checked:
            inherit({"inherits": name}, ("recipes", name), spec.recipes, problems)
        parent: Any = name
        while isinstance(parent, str) and parent in spec.recipes and parent not in checked:
            checked.add(parent)
            parent = spec.recipes[parent].get("inherits")


def _shape(document: Document, problems: Problems) -> Spec:
    """Validate the file's shape; parts with errors are left out so that the rest is checked as well."""
    raw = dict(document.value)
    broken = problems.broken
    for _ in range(3):
        try:
            return Spec.model_validate(raw)
        except ValidationError as error:
            found = problems_of(error, Spec, place_in(document), raw)
            tops = {name.partition(".")[0] for name in broken}
            told = {text for top in tops for text in (f"the study lacks {top!r}", f"{top} is empty")}
            problems.extend(p for p in found if p.what not in told)
            for item in error.errors(include_url=False, include_input=False, include_context=False):
                raw = _without(raw, item["loc"], item["type"], broken)
    raise_problems(problems)
    raise AssertionError("unreachable: a spec without a shape has problems")


def _without(raw: dict[str, Any], path: tuple[Any, ...], kind: str, broken: set[str]) -> dict[str, Any]:
    """The file without the smallest part that holds an error; an unknown key alone goes by itself."""
    if not path:
        return raw
    if kind == "extra_forbidden":
        without: dict[str, Any] = _without_key(raw, path)
        return without
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
    before = len(problems)
    kinds = _chain(spec, problems)
    if len(problems) > before:
        problems.broken.add("chain")
    factors = {}
    for name, levels in spec.factors.items():
        kind = kinds.get(name, "value")
        before = len(problems)
        factors[name] = Factor(name, kind, _levels(spec, name, kind, levels, problems))
        if not factors[name].levels and len(problems) == before:
            problems.add(("factors", name), f"factor {name!r} has no level", "Name at least one.", key=True)
        if name in RESERVED:
            what = f"a factor cannot be called {name!r}: selectors and tables have that word already"
            problems.add(("factors", name), what, "Rename it.", key=True)
    is_whole = not problems.is_broken("chain", "") and next(iter(kinds.values()), None) == "model"
    return factors, tuple(kinds) if is_whole else ()


def _chain(spec: Spec, problems: Problems) -> dict[str, str]:
    """The training factors in order: name → model, or the stage that trains."""
    known = ("model", *trainings())
    if spec.chain is None:
        if "model" not in spec.factors and not problems.is_broken("factors", "model"):
            remedy = "Declare the models: factors: {model: {NAME: …}}; or say in `chain` which factor they are: [{NAME: model}, …]."
            problems.add(("factors",), "there is no factor 'model'", remedy, key=True)
        return {name: name for name in known if name in spec.factors}
    kinds: dict[str, str] = {}
    before = len(problems)
    for i, entry in enumerate(spec.chain):
        pairs = {entry: entry} if isinstance(entry, str) else entry
        if not pairs:
            problems.add(
                ("chain", i),
                "an entry of the chain is empty",
                f"Write NAME, or {{NAME: {'|'.join(trainings())}}}.",
            )
        for name, kind in pairs.items():
            if name not in spec.factors:
                if not problems.is_broken("factors", name):
                    what = f"the chain names an unknown factor {name!r}"
                    problems.add(("chain", i), what, suggest(name, spec.factors))
            elif kind not in known:
                kinds_ = known[:1] if i == 0 else known[1:]
                remedy = f"Write {' or '.join(f'{{{name}: {kind_}}}' for kind_ in kinds_)}."
                problems.add(("chain", i), f"the chain does not say what factor {name!r} is", remedy)
            elif name in kinds:
                problems.add(
                    ("chain", i),
                    f"factor {name!r} stands twice in the chain",
                    "Give the second phase a factor of its own.",
                )
            else:
                kinds[name] = kind
    order = list(kinds.values())
    if len(problems) == before and (order[:1] != ["model"] or order.count("model") != 1):
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
        elif kind in trainings() and value is not None:
            what = f"level {name!r} of {factor!r}: {shown(value)} is no recipe"
            problems.add(path, what, "Write a mapping, or leave it empty to skip the stage.")
            value, settings = {}, Settings({}, {}, path, is_broken=True)
        elif kind == "model" and not isinstance(value, str):
            what = f"model {name!r}: {shown(value)} is no model"
            problems.add(path, what, "Write a hub name, {path: FOLDER} or {tiny: …}.")
            value, settings = {}, Settings({}, {}, path, is_broken=True)
        elif kind == "model":
            settings = Settings({"hub": value}, {"hub": path}, path)
        levels[name] = Level(name, value, settings)
    return levels


def _bare_levels(factor: str, raw: tuple[Any, ...], problems: Problems) -> list[tuple[str, Any]]:
    levels: list[tuple[str, Any]] = []
    for i, value in enumerate(raw):
        name = level_name(value)
        try:
            check_name(name)
        except ValueError as error:
            what = f"level: {str(error).partition(chr(10))[0]}"
            problems.add(("factors", factor, i), what, "Write {NAME: VALUE} to give it a safe name.")
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
        is_broken = own.is_broken or base.is_broken or problems.is_broken("sampling", "")
        measures[name] = Settings(values, origins, own.path, base.references | own.references, is_broken)
    return measures
