"""Levels and recipes: inheritance, references to factors, and validation by a stage's Config.

`inherits: NAME` starts from a recipe; a key given replaces the inherited one whole. The text
`${factor}` stands for the cell's level of another factor (`${factor.key}` for one of its values), so
a study can declare any further factor and use it wherever it likes. Errors point at the line where the
value was written, also when it was inherited.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from pipeline.errors import Location, Problem, shown, suggest
from pipeline.locate import Document, PathTuple
from pipeline.spec.problems import Locate, problems_of

M = TypeVar("M", bound=BaseModel)

_LABEL = re.compile(r"^\w+ '[^']*'")

REFERENCE = re.compile(r"\$\{([^}]*)\}")


@dataclass(frozen=True)
class Settings:
    """A mapping of the file after inheritance, with the place of each of its keys."""

    values: Mapping[str, Any]
    origins: Mapping[str, PathTuple]
    path: PathTuple
    references: frozenset[str] = frozenset()
    is_broken: bool = False
    """Whether its inheritance has an error; what it lacks is then no news."""

    def locator(self, document: Document) -> Locate:
        """Places of paths below these settings, following what was inherited."""

        def locate(path: PathTuple, key: bool) -> Location:
            origin = self.origins.get(path[0]) if path and isinstance(path[0], str) else None
            if origin is not None:
                return document.locate((*origin, *path[1:]), key=key)
            return document.locate(self.path, key=True)

        return locate


class Problems(list[Problem]):
    """The problems found so far in one document."""

    def __init__(self, document: Document) -> None:
        super().__init__()
        self.document = document
        self.broken: set[str] = set()
        """Parts of the file that have errors already noted; references to them are not errors again."""

    def is_broken(self, section: str, name: object) -> bool:
        """Whether a name of a section is missing only because of an error already noted."""
        return section in self.broken or f"{section}.{name}" in self.broken

    def extend(self, found: Iterable[Problem]) -> None:
        """Note several problems; one of an inherited value is noted for the first level that inherits it."""
        for problem in found:
            gist = _LABEL.sub("", problem.what)
            if not any(p.where == problem.where and _LABEL.sub("", p.what) == gist for p in self):
                self.append(problem)

    def add(self, path: PathTuple, what: str, remedy: str = "", *, key: bool = False) -> None:
        """Note one problem at a path of the document."""
        self.append(Problem(what, remedy, self.document.locate(path, key=key)))


def inherit(
    raw: Mapping[str, Any], path: PathTuple, recipes: Mapping[str, Mapping[str, Any]], problems: Problems
) -> Settings:
    """Resolve `inherits` along the chain of recipes; nearer keys win."""
    chain: list[tuple[Mapping[str, Any], PathTuple]] = [(raw, path)]
    visited: list[str] = []
    current, place = raw, path
    is_broken = False
    while (parent := current.get("inherits")) is not None:
        if not isinstance(parent, str) or parent not in recipes:
            if not problems.is_broken("recipes", parent):
                what = f"recipe {shown(parent)} is unknown"
                problems.add((*place, "inherits"), what, suggest(parent, recipes))
            is_broken = True
            break
        if parent in visited:
            loop = " → ".join([*visited, parent])
            problems.add(
                (*place, "inherits"), f"recipes inherit in a circle: {loop}", "Remove one of the `inherits`."
            )
            is_broken = True
            break
        visited.append(parent)
        current, place = recipes[parent], ("recipes", parent)
        chain.append((current, place))
    values: dict[str, Any] = {}
    origins: dict[str, PathTuple] = {}
    for mapping, root in reversed(chain):
        for key, value in mapping.items():
            if key != "inherits":
                values[key] = value
                origins[key] = (*root, key)
    return Settings(values, origins, path, frozenset(_references(values)), is_broken)


def _references(value: Any) -> set[str]:
    if isinstance(value, str):
        return set(REFERENCE.findall(value))
    if isinstance(value, Mapping):
        return {name for item in value.values() for name in _references(item)}
    if isinstance(value, tuple):
        return {name for item in value for name in _references(item)}
    return set()


def split_reference(reference: str, factors: Iterable[str]) -> tuple[str, str]:
    """`factor` or `factor.key` → (factor, key or ""); a factor's own name may have a dot."""
    if reference in factors:
        return reference, ""
    factor, _, key = reference.partition(".")
    return factor, key


def place_of_reference(settings: Settings, reference: str) -> PathTuple:
    """Where some settings use `${reference}`: the path of the value in the document."""

    def find(value: Any, path: PathTuple) -> PathTuple | None:
        if isinstance(value, str):
            return path if reference in REFERENCE.findall(value) else None
        items = (
            value.items()
            if isinstance(value, Mapping)
            else enumerate(value)
            if isinstance(value, tuple)
            else ()
        )
        return next((found for key, item in items if (found := find(item, (*path, key)))), None)

    for key, value in settings.values.items():
        found = find(value, settings.origins[key])
        if found:
            return found
    return settings.path


def substitute(value: Any, known: Mapping[str, Any]) -> Any:
    """Replace references by values; a text that is one reference takes the value's own type."""
    if isinstance(value, str):
        whole = REFERENCE.fullmatch(value)
        if whole:
            return known.get(whole[1], value)
        return REFERENCE.sub(lambda match: str(known.get(match[1], match[0])), value)
    if isinstance(value, Mapping):
        return {key: substitute(item, known) for key, item in value.items()}
    if isinstance(value, tuple):
        return tuple(substitute(item, known) for item in value)
    return value


def validate_settings(
    model: type[M],
    values: Mapping[str, Any],
    settings: Settings,
    problems: Problems,
    *,
    label: str,
    also_known: tuple[str, ...] = (),
) -> M | None:
    """Validate resolved values; on failure note every problem and return None."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        locate = settings.locator(problems.document)
        found = problems_of(error, model, locate, values, where_known=f"{label}.", also_known=also_known)
        problems.extend(found)
        return None
