"""A model level → the configuration of stage `base` and the data that it is made from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline import stages
from pipeline.errors import Problem, shown, suggest
from pipeline.plan.digests import folder_digest
from pipeline.plan.lower.recipes import Recipe
from pipeline.spec.base import check_hub_name
from pipeline.spec.levels import Problems, Settings, validate_settings
from pipeline.spec.study import Study

KINDS = ("hub", "path", "tiny")


def read_model(
    study: Study, name: str, settings: Settings, values: Mapping[str, Any], problems: Problems
) -> Recipe | None:
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
    phases: tuple[Any, ...] = ()
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
        tiny, phases = _tiny(study, name, value, settings, problems)
        if tiny is None:
            return None
        plain = {"tiny": tiny}
    config = validate_settings(stages.load("base").config, plain, settings, problems, label=f"model {name!r}")
    return None if config is None else Recipe("base", config, phases=phases)


def _tiny(
    study: Study, name: str, raw: Any, settings: Settings, problems: Problems
) -> tuple[Any, tuple[Any, ...]]:
    """The tiny model's mapping with data names replaced by indices into its inputs, and those names."""
    locate = settings.locator(problems.document)
    if not isinstance(raw, Mapping):
        problems.append(
            Problem(
                f"model {name!r}: tiny is {shown(raw)}",
                "Write a mapping: tiny: {hidden_size: …, phases: […]}.",
                locate(("tiny",), False),
            )
        )
        return None, ()
    order: list[tuple[str, int | None]] = []
    phases = []
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
            if (str(data), None) not in order:
                order.append((str(data), None))
            indices.append(order.index((str(data), None)))
        phases.append(
            {**phase, "data": tuple(indices)}
            if isinstance(wanted, (str, tuple)) and "data" in phase
            else phase
        )
    plain = {**raw, **({"phases": tuple(phases)} if isinstance(raw_phases, tuple) else {})}
    plain.setdefault("prompt", study.spec.prompt)
    return plain, (tuple(order),)
