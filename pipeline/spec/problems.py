"""From pydantic's errors to problems that point at the line, name the value and say the remedy."""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from pipeline.errors import Location, Problem, shown, suggest
from pipeline.locate import Document, PathTuple

Locate = Callable[[PathTuple, bool], Location]
"""(path below some value, whether its key is meant) → the place in the file."""

_WANTED = {
    "string_type": "text",
    "bool_type": "true or false",
    "int_type": "a whole number",
    "float_type": "a number",
    "tuple_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
}
"""Errors of a value's kind → the kind that is wanted; a union has one for each of its arms."""

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
    "string_too_short": "Write something, or leave the key out.",
}


def problems_of(
    error: ValidationError,
    model: type[BaseModel],
    locate: Locate,
    given: Any,
    *,
    where_known: str = "",
    also_known: Iterable[str] = (),
) -> list[Problem]:
    """Every error of a validation of `given` as a Problem; `locate(path, is_key)` gives places."""
    items = error.errors(include_url=False)
    paths = [_untagged(item["loc"], given) for item in items]
    found: dict[tuple[Location | None, str], Problem] = {}
    for path in dict.fromkeys(paths):
        here = [item for item, other in zip(items, paths, strict=True) if other == path]
        is_inner = any(len(other) > len(path) and other[: len(path)] == path for other in paths)
        for item in _telling(here, is_inner=is_inner):
            problem = _problem_of(item, path, model, locate, where_known, tuple(also_known))
            found.setdefault((problem.where, problem.what), problem)
    return list(found.values())


def _telling(items: list[Any], *, is_inner: bool) -> list[Mapping[str, Any]]:
    """The errors of one value that say what is wrong with it: of a union, those of the arm that fits best.

    `is_inner`: there are errors of what the value holds, which say more than one of its kind or its length.
    """
    kinds = [item for item in items if item["type"] in _WANTED]
    others = [
        item
        for item in items
        if item["type"] not in _WANTED and not (is_inner and item["type"] == "too_short")
    ]
    if is_inner or others:
        return others
    if len(kinds) < 2:
        return kinds
    wanted = dict.fromkeys(_WANTED[item["type"]] for item in kinds)
    if "a number" in wanted:
        wanted.pop("a whole number", None)
    return [{**kinds[0], "type": "union", "wanted": " or ".join(wanted)}]


def _problem_of(
    item: Mapping[str, Any],
    path: PathTuple,
    model: type[BaseModel],
    locate: Locate,
    where_known: str,
    also_known: tuple[str, ...],
) -> Problem:
    kind, value = item["type"], item.get("input")
    dotted = where_known + ".".join(str(part) for part in path) if path else where_known.rstrip(".: ")
    if kind == "extra_forbidden":
        fields = _fields_at(model, path[:-1])
        known = [*fields, *(also_known if len(path) == 1 else ())]
        return Problem(f"unknown key {path[-1]!r}", suggest(path[-1], known), locate(path, True))
    if kind == "missing" and isinstance(path[-1], int):
        what = f"{where_known}{'.'.join(str(part) for part in path[:-1])} has {path[-1]} of its values"
        return Problem(what, "Add the other.", locate(path[:-1], False))
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
            f"{dotted}: {shown(value)} is not one of {', '.join(known)}",
            suggest(value, known),
            locate(path, False),
        )
    if kind in ("too_short", "too_long"):
        return Problem(*_length(item, dotted), locate(path, False))
    if kind == "string_too_short":
        return Problem(f"{dotted} is empty", _REMEDIES[kind], locate(path, False))
    wanted = item["wanted"] if kind == "union" else _WANTED.get(kind)
    message = (
        f"it should be {wanted}"
        if wanted
        else item["msg"].replace("Input should be ", "it should be ").replace("valid ", "")
    )
    remedy = _REMEDIES.get(kind, "")
    if kind == "union":
        is_plain = "text" in item["wanted"] and isinstance(value, (bool, int, float))
        remedy = "Quote it if text is meant." if is_plain else "Write one of them."
    what = f"{dotted} is empty: {message}" if value is None else f"{dotted}: {shown(value)}: {message}"
    return Problem(what, remedy, locate(path, False))


def _length(item: Mapping[str, Any], dotted: str) -> tuple[str, str]:
    """What is wrong with a list's length, and the remedy."""
    limits, actual = item["ctx"], item["ctx"]["actual_length"]
    if not actual:
        return f"{dotted} is empty", "Name at least one."
    if item["type"] == "too_long":
        return f"{dotted} has {actual} values: at most {limits['max_length']} fit", "Remove the others."
    return f"{dotted} has {actual} of at least {limits['min_length']}", "Name more."


def _untagged(path: tuple[Any, ...], given: Any) -> PathTuple:
    """A location without what pydantic adds to it; a key that happens to be called `int` stays."""
    kept: list[Any] = []
    for part in path:
        is_key = isinstance(given, Mapping) and part in given
        if is_key or not _is_tag(part):
            kept.append(part)
            is_item = isinstance(given, tuple) and isinstance(part, int) and part < len(given)
            given = given[part] if is_key or is_item else None
    return tuple(kept)


def _is_tag(part: Any) -> bool:
    """Union tags and function names that pydantic puts into a location."""
    return isinstance(part, str) and (
        part.startswith(("function-", "tuple[", "dict["))
        or part in ("[key]", "str", "int", "float", "bool", "is-instance")
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


def place_in(document: Document, root: PathTuple = ()) -> Locate:
    """A locator for values that stand below `root` in a document."""
    return lambda path, key: document.locate((*root, *path), key=key)
