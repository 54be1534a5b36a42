"""A model from outside → the configuration of stage `base`, the data that it is made from, and its artifact."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline import stages
from pipeline.errors import Problem, shown, suggest
from pipeline.plan.digests import folder_digest
from pipeline.plan.lower.answers import Model
from pipeline.plan.lower.demands import BaseModel, DataEntry, ModelOf, OutsideModel
from pipeline.plan.lower.resolver import Resolver
from pipeline.spec.base import check_hub_name
from pipeline.spec.levels import Problems, Settings, inherit, substitute, validate_settings
from pipeline.spec.study import Study

if TYPE_CHECKING:
    from pipeline.stages.base import StartConfig

KINDS = ("hub", "path", "tiny")


def add_base(resolver: Resolver, demand: BaseModel) -> str | None:
    """The rule of `BaseModel`."""
    model = resolver.get(demand.model)
    if model is None:
        return None
    entries = resolver.study.spec.data
    found = [resolver.get(DataEntry(name)) if name in entries else None for name in model.data]
    rows = tuple(row.key for row in found if row is not None)
    if len(rows) < len(model.data):
        return None
    inputs = {"data": rows} if rows else {}
    return resolver.graph.add("base", model.config, 0, inputs, demand.title, _called(model.config))


def _called(config: StartConfig) -> str:
    """What the artifacts of a model are called after."""
    if config.tiny is not None:
        return f"tiny-{config.tiny.layers}x{config.tiny.hidden_size}"
    named = config.hub.name if config.hub is not None else config.local.path if config.local else ""
    return named.rstrip("/").rsplit("/", 1)[-1]


def read_level(resolver: Resolver, demand: ModelOf) -> Model | None:
    """The rule of `ModelOf`."""
    settings = resolver.study.factors[demand.factor].levels[demand.level].settings
    if settings is None:
        return None
    values = substitute(settings.values, demand.references.values)
    return _read_model(resolver.study, demand.level, settings, values, resolver.problems)


def read_outside_model(resolver: Resolver, demand: OutsideModel) -> Model | None:
    """The rule of `OutsideModel`."""
    study, problems = resolver.study, resolver.problems
    given, path = study.spec.policies[demand.name], ("policies", demand.name)
    if isinstance(given, str):
        settings = Settings({"hub": given}, {"hub": path}, path)
    else:
        settings = inherit(given, path, study.spec.recipes, problems)
    if settings.is_broken:
        return None
    return _read_model(study, demand.name, settings, settings.values, problems)


def _read_model(
    study: Study, name: str, settings: Settings, values: Mapping[str, Any], problems: Problems
) -> Model | None:
    """Resolve `NAME`, `{hub: NAME}`, `{path: FOLDER}` or `{tiny: {…, phases: […]}}`."""
    locate = settings.locator(problems.document)
    unknown = [key for key in values if key not in (*KINDS, "inherits")]
    for key in unknown:
        problems.append(Problem(f"unknown key {key!r}", suggest(key, KINDS), locate((key,), True)))
    given = [key for key in KINDS if key in values]
    if len(given) != 1:
        what = f"model {name!r} needs exactly one of hub, path, tiny; got {', '.join(given) or 'none'}"
        problems.append(Problem(what, "Keep one.", locate((), True)))
    if unknown or len(given) != 1:
        return None
    kind, value = given[0], values[given[0]]
    data: tuple[str, ...] = ()
    if kind == "hub":
        try:
            check_hub_name(value if isinstance(value, str) else shown(value))
        except ValueError as error:
            what, _, remedy = str(error).partition("\n")
            remedy = remedy if "path" not in remedy else f"Write a folder as {{path: {value}}}."
            problems.extend([Problem(f"model {name!r}: {what}", remedy, locate(("hub",), False))])
            return None
        plain: Any = {"hub": {"name": value, "revision": study.lock.revision("models", str(value))}}
    elif kind == "path":
        if not isinstance(value, str):
            problems.append(
                Problem(
                    f"model {name!r}: path {shown(value)} is no text",
                    "Write the path of a model folder.",
                    locate(("path",), False),
                )
            )
            return None
        where, before = locate(("path",), False), len(problems)
        digest = folder_digest(value, problems, where)
        if len(problems) == before and not (Path(value).expanduser() / "config.json").is_file():
            what = f"model {name!r}: {value!r} is no model folder: it has no config.json"
            problems.append(Problem(what, "Write the path of a folder in Hugging Face's layout.", where))
        plain = {"local": {"path": value, "digest": digest}}
    else:
        tiny = _tiny(study, name, value, settings, problems)
        if tiny is None:
            return None
        plain, data = {"tiny": tiny[0]}, tiny[1]
    config = validate_settings(stages.load("base").config, plain, settings, problems, label=f"model {name!r}")
    return None if config is None else Model(config, data)


def _tiny(
    study: Study, name: str, raw: Any, settings: Settings, problems: Problems
) -> tuple[Mapping[str, Any], tuple[str, ...]] | None:
    """The tiny model's mapping with data names replaced by indices into its inputs, and those names."""
    locate = settings.locator(problems.document)
    if not isinstance(raw, Mapping):
        what, remedy = (
            f"model {name!r}: tiny is {shown(raw)}",
            "Write a mapping: tiny: {hidden_size: …, phases: […]}.",
        )
        problems.append(Problem(what, remedy, locate(("tiny",), False)))
        return None
    order: list[str] = []
    phases: list[Any] = []
    raw_phases = raw.get("phases", ())
    for i, phase in enumerate(raw_phases if isinstance(raw_phases, tuple) else ()):
        if not isinstance(phase, Mapping):
            phases.append(phase)  # the model notes it
            continue
        wanted = phase.get("data", ())
        names = (wanted,) if isinstance(wanted, str) else wanted if isinstance(wanted, tuple) else ()
        indices = []
        for k, data in enumerate(names):
            is_known = isinstance(data, str) and data in study.spec.data
            if not is_known and not problems.is_broken("data", data):
                place = ("tiny", "phases", i, "data", *((k,) if isinstance(wanted, tuple) else ()))
                what = f"model {name!r}: data {shown(data)} is unknown"
                problems.append(Problem(what, suggest(data, study.spec.data), locate(place, False)))
            if str(data) not in order:
                order.append(str(data))
            indices.append(order.index(str(data)))
        has_names = isinstance(wanted, (str, tuple)) and "data" in phase
        phases.append({**phase, "data": tuple(indices)} if has_names else phase)
    plain = {**raw, **({"phases": tuple(phases)} if isinstance(raw_phases, tuple) else {})}
    plain.setdefault("prompt", study.spec.prompt)
    return plain, tuple(order)
