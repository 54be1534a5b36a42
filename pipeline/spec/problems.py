"""From pydantic's errors to problems that point at the line, name the value and say the remedy."""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from pipeline.errors import Location, Problem, suggest
from pipeline.locate import Document, PathTuple

_SHAPES = ("tuple_type", "string_type", "dict_type", "model_type", "model_attributes_type")

_PLAIN = {
    "int_type": "it should be a whole number",
    "float_type": "it should be a number",
    "string_type": "it should be text",
    "tuple_type": "it should be a list",
    "dict_type": "it should be a mapping",
    "model_type": "it should be a mapping",
    "model_attributes_type": "it should be a mapping",
}

_REMEDIES = {
    "missing": "Add it.",
    "int_type": "Write a whole number, e.g. 8_000; `8k` and quoted numbers are text.",
    "int_from_float": "Write a whole number.",
    "float_type": "Write a number, e.g. 0.05 or 5e-5; quoted numbers are text.",
    "string_type": "Write text; quote it if it looks like a number.",
    "bool_type": "Write true or false.",
    "tuple_type": "Write a list: [a, b].",
    "dict_type": "Write a mapping: {key: value}.",
    "model_type": "Write a mapping: {key: value}.",
    "model_attributes_type": "Write a mapping: {key: value}.",
    "finite_number": "Write a finite number.",
}


def problems_of(
    error: ValidationError,
    model: type[BaseModel],
    locate: Callable[[PathTuple, bool], Location],
    *,
    where_known: str = "",
    also_known: Iterable[str] = (),
) -> list[Problem]:
    """Every error of a validation as a Problem; `locate(path, is_key)` gives places."""
    found: dict[tuple[Location, str], Problem] = {}
    items = error.errors(include_url=False)
    paths = [_untagged(item["loc"]) for item in items]
    for item, path in zip(items, paths, strict=True):
        below = any(len(other) > len(path) and other[: len(path)] == path for other in paths)
        if item["type"] in _SHAPES and (
            below or (item["type"] == "tuple_type" and isinstance(item["input"], dict))
        ):
            continue  # another arm of a union fits better, and its errors say more
        problem = _problem_of(item, path, model, locate, where_known, tuple(also_known))
        found.setdefault((problem.where, problem.what), problem)
    return list(found.values())


def _problem_of(
    item: Mapping[str, Any],
    path: PathTuple,
    model: type[BaseModel],
    locate: Callable[[PathTuple, bool], Location],
    where_known: str,
    also_known: tuple[str, ...],
) -> Problem:
    kind, value = item["type"], item.get("input")
    dotted = where_known + ".".join(str(part) for part in path) if path else where_known.rstrip(".: ")
    if kind == "extra_forbidden":
        fields = _fields_at(model, path[:-1])
        known = [*fields, *(also_known if len(path) == 1 else ())]
        return Problem(f"unknown key {path[-1]!r}", suggest(path[-1], known), locate(path, True))
    if kind == "missing":
        owner = (
            where_known.rstrip(".: ") if len(path) == 1 else where_known + ".".join(str(p) for p in path[:-1])
        )
        return Problem(
            f"{owner or 'the study'} lacks {path[-1]!r}", _REMEDIES["missing"], locate(path[:-1], True)
        )
    if kind == "value_error":
        message = str(item["ctx"]["error"])
        what, _, remedy = message.partition("\n")
        return Problem(
            f"{dotted}: {what}" if dotted else what, remedy, locate(path, item["loc"][-1:] == ("[key]",))
        )
    if kind == "literal_error":
        known = [
            str(choice).strip("'") for choice in item["ctx"]["expected"].replace(" or ", ", ").split(", ")
        ]
        return Problem(
            f"{dotted}: {value!r} is not one of {', '.join(known)}",
            suggest(value, known),
            locate(path, False),
        )
    if kind == "too_short":
        return Problem(f"{dotted} is empty", "Name at least one.", locate(path, False))
    message = _PLAIN.get(kind) or item["msg"].replace("Input should be ", "it should be ").replace(
        "valid ", ""
    )
    shown = "" if isinstance(value, (dict, tuple)) and len(repr(value)) > 60 else f"{value!r}: "
    return Problem(f"{dotted}: {shown}{message}", _REMEDIES.get(kind, ""), locate(path, False))


def _untagged(path: tuple[Any, ...]) -> PathTuple:
    return tuple(part for part in path if not _is_tag(part))


def _is_tag(part: Any) -> bool:
    """Union tags and function names that pydantic puts into a location."""
    return isinstance(part, str) and (
        part.startswith(("function-", "tuple[", "dict["))
        or part in ("[key]", "str", "int", "float", "is-instance")
    )


def _fields_at(model: Any, path: PathTuple) -> list[str]:
    """The field names of the model that stands at a path below `model`."""
    current = model
    for part in path:
        current = _step(current, part)
    models = [arm for arm in _arms(current) if isinstance(arm, type) and issubclass(arm, BaseModel)]
    return [name for arm in models for name in arm.model_fields]


def _step(current: Any, part: str | int) -> Any:
    for arm in _arms(current):
        if isinstance(arm, type) and issubclass(arm, BaseModel) and part in arm.model_fields:
            return arm.model_fields[part].annotation
        origin, arguments = typing.get_origin(arm), typing.get_args(arm)
        if origin is dict and isinstance(part, str):
            return arguments[1]
        if origin is tuple and isinstance(part, int):
            return arguments[0]
    return None


def _arms(annotation: Any) -> list[Any]:
    if typing.get_origin(annotation) is typing.Annotated:
        return _arms(typing.get_args(annotation)[0])
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return [arm for inner in typing.get_args(annotation) for arm in _arms(inner)]
    return [annotation]


def place_in(document: Document, root: PathTuple = ()) -> Callable[[PathTuple, bool], Location]:
    """A locator for values that stand below `root` in a document."""
    return lambda path, key: document.locate((*root, *path), key=key)
