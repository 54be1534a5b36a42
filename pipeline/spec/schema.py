"""specs/schema.json: the JSON schema of study files, generated from the models for editors.

Levels and measures are described by the stages' own models, with nothing required (inheritance may supply
it); rewards, filters, analyses, judges and generators are listed from their catalogues with their parameters.
"""

from __future__ import annotations

import json
from typing import Any

from pipeline import analyses, benchmarks, datasets, filters, generators, judges, rewards, stages
from pipeline.fingerprint import Config
from pipeline.spec.models import MADE, SET_BY_ENTRY, Spec
from pipeline.stages.base import TinyModel

HEADER = "# yaml-language-server: $schema=schema.json"


def schema() -> dict[str, Any]:
    """The schema as plain values."""
    result = Spec.model_json_schema()
    definitions = result["$defs"]
    defined = {"definitions": definitions}
    training = {name: _training(name, defined) for name in stages.trainings()}
    measure = _settings(stages.load("sample").config, defined, "data", "rows", "benchmark", "only")
    measure["properties"]["benchmark"] = {"enum": list(benchmarks.names())}
    properties = result["properties"]
    properties["measure"]["additionalProperties"] = {"anyOf": [measure, {"type": "null"}]}
    properties["sampling"] = {**measure, "description": properties["sampling"]["description"]}
    levels = properties["factors"]["additionalProperties"]
    properties["factors"]["properties"] = {
        "model": {"type": "object", "additionalProperties": _model(defined)},
        **{
            name: {"type": "object", "additionalProperties": {"anyOf": [level, {"type": "null"}]}}
            for name, level in training.items()
        },
    }
    properties["factors"]["additionalProperties"] = levels
    definitions["DataSpec"]["properties"]["filters"]["items"] = _entries(filters, defined)
    _add_made(definitions, defined)
    properties["policies"]["additionalProperties"] = _policy(defined)
    properties["analyses"]["items"] = _entries(analyses, defined)
    named = properties["analyses"]["items"]["anyOf"][1]["properties"]
    for entry in named.values():
        own = entry["anyOf"][1] if "anyOf" in entry else entry
        own.setdefault("properties", {})["measures"] = {
            "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}],
            "description": "Measures whose responses are analysed; all when absent.",
        }
        own["properties"]["only"] = {
            "type": "array",
            "items": {"type": "object"},
            "minItems": 1,
            "description": "Selectors of the cells (with `step` of checkpoints) whose responses are analysed; "
            "all when absent.",
        }
    for name in filter(analyses.needs_judge, analyses.names()):
        named[name]["properties"]["judge"] = {
            "type": "string",
            "description": "Name of an entry of `judges`.",
        }
    properties["judges"]["additionalProperties"] = _judge(defined)
    source = definitions["SourceSpec"]["properties"]
    source["synthetic"] = {
        "enum": list(generators.names()),
        "description": source["synthetic"]["description"],
    }
    source["dataset"] = {"enum": list(datasets.names()), "description": source["dataset"]["description"]}
    source["benchmark"] = {
        "enum": list(benchmarks.names()),
        "description": source["benchmark"]["description"],
    }
    definitions["Prompt"]["properties"] = _or_references(definitions["Prompt"]["properties"])
    properties["replicates"] = {"anyOf": [{"type": "integer", "minimum": 1}, properties["replicates"]]}
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "A studyc study",
        **_with_draft7(result),
    }


def schema_text() -> str:
    """The schema as the file's text."""
    return json.dumps(schema(), indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def _with_draft7(value: Any) -> Any:
    """References and definitions in draft 7's words, which editors understand best."""
    if isinstance(value, dict):
        return {("definitions" if k == "$defs" else k): _with_draft7(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_with_draft7(item) for item in value]
    return value.replace("#/$defs/", "#/definitions/") if isinstance(value, str) else value


def _inline(model: type[Config], defined: dict[str, Any]) -> dict[str, Any]:
    """A model's schema with its definitions moved to the file's."""
    own = model.model_json_schema()
    defined["definitions"].update(own.pop("$defs", {}))
    return own


def _training(name: str, defined: dict[str, Any]) -> dict[str, Any]:
    """A level of a factor that a training stage stands for."""
    training = stages.load_training(name)
    checkpoints = ("checkpoints",) if training.has_checkpoints else ()
    level = _settings(stages.load(name).config, defined, "data", "rows", *checkpoints)
    if training.has_rewards:
        level["properties"]["reward"] = _by_name(
            rewards, defined, "A weight, or {weight, …parameters}.", weight=True
        )
    return level


def _settings(model: type[Config], defined: dict[str, Any], *words: str) -> dict[str, Any]:
    """A stage's settings as a level: nothing required, the study's words beside them."""
    own = _inline(model, defined)
    own.pop("required", None)
    extra = {
        "data": {"type": "string", "description": "Name of a data entry."},
        "rows": {"type": "integer", "minimum": 1, "description": "Rows of it, nested by its seed."},
        "benchmark": {"type": "string"},
        "only": {
            "type": "array",
            "items": {"type": "object"},
            "minItems": 1,
            "description": "Where it is taken: selectors of cells, with `step` of checkpoints; everywhere when absent.",
        },
        "checkpoints": {"description": "Steps to publish: [20, 40] or `every 20`."},
    }
    own["properties"].update({word: extra[word] for word in words})
    own["properties"] = _or_references(own["properties"])
    own["properties"]["inherits"] = {"type": "string", "description": "Recipe to start from."}
    return own


def _or_references(properties: dict[str, Any]) -> dict[str, Any]:
    """Numbers and choices may also be written as `${factor}`."""
    reference = {"type": "string", "pattern": r"^\$\{[^}]+\}$"}
    numeric = ("integer", "number")
    return {
        name: {"anyOf": [value, reference], "description": value.get("description", "")}
        if value.get("type") in numeric or "enum" in value
        else value
        for name, value in properties.items()
    }


def _model(defined: dict[str, Any]) -> dict[str, Any]:
    tiny = _inline(TinyModel, defined)
    phase = defined["definitions"]["Phase"]
    phase["properties"]["data"] = {
        "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}],
        "description": "Data entries that the phase mixes.",
    }
    properties = {"hub": {"type": "string"}, "path": {"type": "string"}, "tiny": tiny}
    return {
        "anyOf": [
            {"type": "string"},
            {"type": "object", "properties": properties, "additionalProperties": False},
        ]
    }


def _policy(defined: dict[str, Any]) -> dict[str, Any]:
    """A model from outside, or one of the study's own."""
    outside = _model(defined)
    outside["anyOf"][1]["properties"]["inherits"] = {"type": "string", "description": "Recipe to start from."}
    own = {
        "type": "object",
        "properties": {"of": {"type": "object"}},
        "required": ["of"],
        "additionalProperties": False,
    }
    return {"anyOf": [*outside["anyOf"], own]}


def _add_made(definitions: dict[str, Any], defined: dict[str, Any]) -> None:
    """The words of data that a model makes or chooses: those of the stages that make them, and names."""
    name = {"type": "string"}
    data = definitions["DataSpec"]["properties"]
    for kind, names in MADE.items():
        own = [_inline(stages.load(stage).config, defined)["properties"] for stage in names]
        words = {
            key: value for properties in own for key, value in properties.items() if key not in SET_BY_ENTRY
        }
        references = {"data": name, "compressor": name} if kind == "compressed" else {"problems": name}
        extra = {"match_budget_of": name} if kind == "rejection" else {}
        words |= {**references, "policy": name, "inherits": name, **extra}
        data[kind] = {
            "type": "object",
            "properties": words,
            "additionalProperties": False,
            "description": data[kind]["description"],
        }
    filters_ = data["filters"]["items"]["anyOf"][1]["properties"]
    select = _inline(stages.load("select").config, defined)["properties"]
    labels = select.pop("labels")
    sampled = _inline(stages.load("sample").config, defined)["properties"]
    filters_["solved_by"] = {
        "type": "object",
        "properties": {**sampled, **select, "policy": name, "inherits": name},
        "additionalProperties": False,
    }
    judged = {"by": name, "keep": labels, "unreadable": select["unreadable"], "inherits": name}
    for entry in filters_.values():
        own = entry["anyOf"][1] if "anyOf" in entry else entry
        if "tokenizer" in own.get("properties", {}):
            own["properties"]["policy"] = {
                "type": "string",
                "description": "Name of an entry of `policies` whose tokenizer counts, in the place of `tokenizer`.",
            }
    filters_["judged"] = {"type": "object", "properties": judged, "additionalProperties": False}


def _judge(defined: dict[str, Any]) -> dict[str, Any]:
    """A judge of a study: the stage's settings, and the policy of a local engine."""
    own = _inline(stages.load("judge").config, defined)
    own["properties"]["judge"] = {"enum": list(judges.names())}
    own["properties"]["policy"] = {"type": "string", "description": "Policy that answers (local engines)."}
    return own


def _by_name(catalogue: Any, defined: dict[str, Any], text: str, *, weight: bool = False) -> dict[str, Any]:
    entries = {}
    for name in catalogue.names():
        own = _inline(catalogue.params_model(name), defined)
        own["description"] = text
        own["properties"] = _or_references(own.get("properties", {}))
        short = {}
        if weight:
            own["properties"]["weight"] = {"type": "number"}
            short = {"type": "number"}
        elif main := getattr(catalogue.get(name), "MAIN", None):
            short = own["properties"][main]
        entries[name] = {"anyOf": [short, own]} if short else own
    return {
        "anyOf": [
            {"type": "string"},
            {"type": "object", "properties": entries, "additionalProperties": False},
        ]
    }


def _entries(catalogue: Any, defined: dict[str, Any]) -> dict[str, Any]:
    named = _by_name(catalogue, defined, "Parameters.")
    return {"anyOf": [{"enum": list(catalogue.names())}, {**named["anyOf"][1], "maxProperties": 1}]}
