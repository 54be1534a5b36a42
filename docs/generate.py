"""Writes docs/reference/ from the models and catalogues; `make docs`. A test fails when a page is stale."""

from __future__ import annotations

import importlib
import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from pipeline import analyses, benchmarks, datasets, filters, generators, judges, rewards, stages
from pipeline.cli.main import EXIT_CODES, build_parser
from pipeline.site import Site
from pipeline.spec.models import Spec

FOLDER = Path(__file__).resolve().parent / "reference"
HEAD = "<!-- written by `make docs`; edit the models, not this page -->\n\n"


def pages() -> dict[str, str]:
    """File name → text of every reference page."""
    return {
        "spec.md": HEAD + _spec(),
        "stages.md": HEAD + _stages(),
        "site.md": HEAD
        + "# The site file\n\n"
        + (_doc(Site))
        + "\n\n"
        + "\n".join(_models(Site, roles=False)),
        "rewards.md": HEAD + _rewards(),
        "catalogues.md": HEAD + _catalogues(),
        "commands.md": HEAD + _commands(),
    }


def _doc(thing: Any) -> str:
    return (thing.__doc__ or "").strip()


def _models(model: type[BaseModel], *, roles: bool, seen: set[type] | None = None) -> Iterator[str]:
    """A table per model, those below it after it, each once."""
    seen = set() if seen is None else seen
    if model in seen:
        return
    seen.add(model)
    yield f"### {model.__name__}\n\n{_doc(model)}\n"
    yield "| key | type | default | " + ("identity | " if roles else "") + "meaning |"
    yield "|---|---|---|" + ("---|" if roles else "") + "---|"
    below = []
    for name, field in model.model_fields.items():
        default = (
            "required" if field.is_required() else f"`{_shown(field.get_default(call_default_factory=True))}`"
        )
        role = f"{(field.json_schema_extra or {}).get('role', '')} | " if roles else ""
        yield f"| `{name}` | {_type(field.annotation)} | {default} | {role}{_cell(field.description)} |"
        below += _inner(field.annotation)
    yield ""
    for inner in below:
        yield from _models(inner, roles=roles, seen=seen)


def _cell(text: str | None) -> str:
    """A text inside a table, where a bare | would begin a column."""
    return (text or "").replace("|", "\\|")


def _shown(value: Any) -> str:
    if isinstance(value, BaseModel):
        return "{" + ", ".join(f"{k}: {v}" for k, v in value.model_dump(exclude_defaults=True).items()) + "}"
    return str(value).replace("|", "\\|").replace("\n", "\\n") if value is not None else "none"


def _inner(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for inner in typing.get_args(annotation) for model in _inner(inner)]


def _type(annotation: Any) -> str:
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return _type(inner[0])
    if origin is typing.Literal:
        return " \\| ".join(f"`{value}`" for value in inner)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(_type(arm) for arm in inner if arm is not type(None))
    if origin is tuple:
        return f"list of {_type(inner[0])}"
    if origin is dict:
        return f"mapping to {_type(inner[1])}"
    plain = {str: "text", int: "whole number", float: "number", bool: "true/false"}
    return plain.get(annotation, getattr(annotation, "__name__", str(annotation)).replace("Any", "any"))


def _spec() -> str:
    return "\n".join(["# The study file\n", (_doc(Spec)), "", *_models(Spec, roles=False)])


def _stages() -> str:
    lines = [
        "# Stages and their settings",
        "",
        "`content` fields decide an artifact's identity; `placement` fields never do.",
        "",
    ]
    for stage in stages.in_order():
        doc = _doc(importlib.import_module(f"pipeline.stages.{stage.name}"))
        lines += [f"## {stage.name}", "", doc, "", *_models(stage.config, roles=True)]
    return "\n".join(lines)


def _rewards() -> str:
    lines = [
        "# Rewards",
        "",
        "`reward: {NAME: WEIGHT}` or `reward: {NAME: {weight: …, …parameters}}` in a level of an RL factor.",
        "",
    ]
    for name in rewards.names():
        found = rewards.describe(name)
        lines += [
            f"## {name}",
            "",
            found.doc,
            "",
            f"- formula: `{found.formula}`",
            f"- source: {found.source}",
        ]
        lines += [f"- `{key}`: {meaning} ({default})" for key, meaning, default in found.params]
        lines.append("")
    return "\n".join(lines)


def _catalogues() -> str:
    parts = {
        "Benchmarks": benchmarks,
        "Data sets": datasets,
        "Filters": filters,
        "Generators": generators,
        "Analyses": analyses,
        "Judges": judges,
    }
    lines = ["# Catalogues", ""]
    for title, catalogue in parts.items():
        lines += [f"## {title}", ""]
        for name in catalogue.names():
            text = (
                catalogue.describe(name)
                if hasattr(catalogue, "describe")
                else f"{name}: {_doc(catalogue.get(name))}"
            )
            lines += ["```", text, "```", ""]
    return "\n".join(lines)


def _commands() -> str:
    parser = build_parser()
    actions = next(a for a in parser._actions if hasattr(a, "choices") and isinstance(a.choices, dict))
    lines = ["# Commands", "", "```", EXIT_CODES, "```", ""]
    for name, command in actions.choices.items():
        lines += [f"## studyc {name}", "", "```", _wide(command), "```", ""]
    return "\n".join(lines)


def _wide(command: Any) -> str:
    import argparse

    command.formatter_class = lambda prog: argparse.RawDescriptionHelpFormatter(prog, width=110)
    return command.format_help().rstrip()


def main() -> None:
    """Write every page."""
    FOLDER.mkdir(exist_ok=True)
    for name, text in pages().items():
        (FOLDER / name).write_text(text.rstrip() + "\n")


if __name__ == "__main__":
    main()
