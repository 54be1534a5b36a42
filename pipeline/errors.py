"""What can go wrong for a user, as one tree.

    StudyError                 the root: every message that a user may read
    ├── SpecErrors             one or more problems in a spec file, all at once       (exit 2)
    ├── InputError             a file, a model folder or a data set is not usable     (exit 4)
    ├── StageError             a stage could not finish: NaN loss, full disk, …       (exit 5)
    └── RefusedError           the request is understood and refused: unpinned names,
                               a lock held by somebody else, nothing to resume        (exit 6)

Each problem says where (file:line:column), what, why where it is not obvious, and the remedy.
Nothing here imports anything of the project.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, order=True)
class Location:
    """A place in a text file; line and column count from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong: where, what, and what to do about it."""

    what: str
    remedy: str = ""
    where: Location | None = None

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        remedy = f"\n    {self.remedy}" if self.remedy else ""
        return f"{place}{self.what}{remedy}"


class StudyError(Exception):
    """A message for the user; never shown with a traceback."""

    exit_code = 1

    def __init__(self, what: str, remedy: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.what}\n    {self.remedy}" if self.remedy else self.what


class SpecErrors(StudyError):
    """Every problem of a spec at once, in the order of the file."""

    exit_code = 2

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(problems, key=_sort_key))
        super().__init__("\n".join(str(problem) for problem in self.problems))


class InputError(StudyError):
    """A file, a model folder or a data set that a stage was given is not usable."""

    exit_code = 4


class StageError(StudyError):
    """A stage stopped before its artifact was complete."""

    exit_code = 5


class RefusedError(StudyError):
    """The request is understood and refused, with the remedy."""

    exit_code = 6


def _sort_key(problem: Problem) -> tuple[str, int, int, str]:
    where = problem.where or Location("", 0, 0)
    return (where.file, where.line, where.column, problem.what)


def shown(value: Any, limit: int = 60) -> str:
    """A value as a spec would write it, cut where it is long."""
    text = _written(value)
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def _written(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, float) and not math.isfinite(value):
        return f".{value}".replace(".-", "-.")
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_inner(item)}" for key, item in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_inner(item) for item in value) + "]"
    return repr(value)


def _inner(value: Any) -> str:
    return value if isinstance(value, str) and value else _written(value)


def suggest(name: object, known: Iterable[object]) -> str:
    """A remedy for an unknown name: the nearest known one, or the list of all."""
    choices = {str(choice).casefold(): str(choice) for choice in known}
    wanted = str(name).casefold()
    for folded, choice in choices.items():
        if len(wanted) > 1 and wanted == "".join(word[:1] for word in folded.split("_")):
            return f"Did you mean {choice!r}?"  # lr
    for near in difflib.get_close_matches(wanted, choices, n=3, cutoff=0.6 if len(wanted) > 3 else 0.7):
        if abs(len(near) - len(wanted)) <= max(2, len(wanted) // 2):  # `seed` is no misspelt `deepspeed`
            return f"Did you mean {choices[near]!r}?"
    if not choices:
        return "There is none to choose from."
    names = sorted(choices.values())
    return f"Known: {', '.join(names[:12])}{', …' if len(names) > 12 else '.'}"
