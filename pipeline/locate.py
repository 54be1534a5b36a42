"""YAML with positions: plain values, and for every path the line and column it was written at.

YAML 1.2 core scalars (so `5e-5` is a number and `no` is text); sequences become tuples.
Refused, all at once and with their places: syntax errors, duplicate keys, keys that are no scalars,
merge keys, custom tags, aliases that explode, tabs as indentation, more than one document.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from pipeline.errors import InputError, Location, Problem, SpecErrors, shown

MAX_NODES = 200_000
"""Nodes of one file after its aliases are expanded; a study never comes near, an alias bomb does."""

MAX_DEPTH = 60
MAX_INTEGER = 2**63 - 1
EMPTY = "the file is empty"

PathTuple = tuple[str | int, ...]

_INT = re.compile(r"[-+]?[0-9][0-9_]*$")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9][0-9_]*(?:\.[0-9_]*)?)(?:[eE][-+]?[0-9]+)?$")
_NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)$|\.(?:nan|NaN|NAN)$")
_WORDS = {"": None, "~": None, "null": None, "Null": None, "NULL": None}
_BOOLEANS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_CORE_TAGS = {f"tag:yaml.org,2002:{name}" for name in ("str", "int", "float", "bool", "null", "map", "seq")}


if TYPE_CHECKING:
    _SafeLoader = yaml.SafeLoader
else:
    # CSafeLoader is absent where PyYAML was built without libyaml.
    _SafeLoader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_SafeLoader):
    """The safe loader with no implicit types: scalars are read by `_scalar`, by YAML 1.2's rules."""


_Loader.yaml_implicit_resolvers = {}


@dataclass(frozen=True)
class Document:
    """One YAML file: its value and where each part of it stands."""

    file: str
    value: Any
    values: dict[PathTuple, Location]
    keys: dict[PathTuple, Location] = field(default_factory=dict)

    def locate(self, path: PathTuple, *, key: bool = False) -> Location:
        """The place of a value (or of its key); the nearest ancestor's where it has none."""
        path = tuple(path)
        if key and path in self.keys:
            return self.keys[path]
        while path and path not in self.values:
            path = path[:-1]
        return self.values.get(path, Location(self.file, 1, 1))


def read_yaml(path: Path, *, shown: str | None = None) -> Document:
    """Read one YAML file with positions; raises SpecErrors with every problem found."""
    shown = shown or str(path)
    try:
        text = path.read_bytes().decode("utf-8")
    except FileNotFoundError:
        raise InputError(
            f"{shown}: there is no such file", "Check the path; `studyc new NAME` writes a commented spec."
        ) from None
    except IsADirectoryError:
        raise InputError(f"{shown} is a folder, not a spec file", "Name one YAML file.") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{shown}: not UTF-8 text (byte {error.start})", "Save the file as UTF-8.") from None
    except OSError as error:
        raise InputError(
            f"{shown}: cannot be read: {error.strerror}", "Check the path and its permissions."
        ) from None
    return parse_yaml(text, shown)


def parse_yaml(text: str, file: str) -> Document:
    """Parse YAML text; `file` is the name shown in errors."""
    try:
        nodes = list(yaml.compose_all(text, Loader=_Loader))
    except yaml.MarkedYAMLError as error:
        raise SpecErrors([_syntax_problem(error, text, file)]) from None
    except yaml.reader.ReaderError as error:
        before = text[: error.position]
        where = Location(file, before.count("\n") + 1, error.position - before.rfind("\n"))
        raise SpecErrors([Problem("a character that YAML does not allow", "Remove it.", where)]) from None
    except RecursionError:
        raise SpecErrors([Problem("nested too deep", "Flatten the file.", Location(file, 1, 1))]) from None
    if not nodes:
        raise SpecErrors([Problem(EMPTY, "`studyc new NAME` writes a commented spec.", Location(file, 1, 1))])
    if len(nodes) > 1:
        where = _location(nodes[1], file)
        raise SpecErrors(
            [Problem("a second YAML document starts here", "One file holds one study; remove `---`.", where)]
        )
    reader = _Reader(file)
    value = reader.read(nodes[0], ())
    if reader.problems:
        raise SpecErrors(reader.problems)
    return Document(file, value, reader.values, reader.keys)


def _syntax_problem(error: yaml.MarkedYAMLError, text: str, file: str) -> Problem:
    """What the parser stumbled over; where it only noticed later, the place at which that began."""
    context, what = error.context or "", (error.problem or error.context or "cannot be parsed").strip()
    is_earlier = context.endswith(("a simple key", "a quoted scalar")) and "escape" not in what
    mark = (error.context_mark if is_earlier else error.problem_mark) or error.context_mark
    where = Location(file, mark.line + 1, mark.column + 1) if mark else Location(file, 1, 1)
    remedy = "Check indentation, quotes and brackets here."
    if context.endswith("a simple key"):
        what, remedy = "a key without a value", "Write `key: value`, with a plain space after the colon."
    elif context.endswith("a quoted scalar") and is_earlier:
        what, remedy = "the quote that opens here never closes", "Close it."
    elif context.endswith(("a flow sequence", "a flow mapping")) and error.context_mark:
        opened = "[" if context.endswith("sequence") else "{"
        remedy = (
            f"Close the {opened} of line {error.context_mark.line + 1}, or write the comma that is missing."
        )
    elif what == "found character that cannot start any token" and mark:
        found = "".join(text.splitlines()[mark.line : mark.line + 1])[mark.column : mark.column + 1]
        if found == "\t":
            remedy = "Indent with spaces, not with tabs."
        elif found:
            remedy = f"Quote the value that starts with {found}."
    elif what == "mapping values are not allowed in this context":
        remedy = "Quote the value if it contains ': ', or check the indentation."
    return Problem(f"not valid YAML: {what}", remedy, where)


def _is_nothing(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and not node.style and not node.value


def _location(node: yaml.Node, file: str) -> Location:
    return Location(file, node.start_mark.line + 1, node.start_mark.column + 1)


def read_scalar(text: str) -> str | int | float | bool | None:
    """A plain scalar by YAML 1.2's core rules; ValueError for a number of too many digits."""
    if text in _WORDS:
        return None
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    if _INT.match(text):
        return int(text.replace("_", ""))
    if _FLOAT.match(text):
        return float(text.replace("_", ""))
    if _NOT_FINITE.match(text):
        return float(text.replace(".", ""))
    return text


class _Reader:
    """Walks the composed nodes once, collecting values, places and problems."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.values: dict[PathTuple, Location] = {}
        self.keys: dict[PathTuple, Location] = {}
        self.problems: list[Problem] = []
        self._seen = 0
        self._stopped = False

    def read(self, node: yaml.Node, path: PathTuple) -> Any:
        where = _location(node, self.file)
        self._seen += 1
        if self._stopped:
            return None
        if self._seen > MAX_NODES or len(path) > MAX_DEPTH:
            self._stopped = True
            what = (
                f"its aliases expand to more than {MAX_NODES:,} values"
                if self._seen > MAX_NODES
                else "nested too deep"
            )
            self._problem(
                what, "Write a recipe once and use `inherits`; a study needs no such aliases.", where
            )
            return None
        self.values[path] = where
        if node.tag not in _CORE_TAGS:
            self._problem(f"the tag {node.tag!r} is not allowed", "Remove the tag; plain values only.", where)
            return None
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return tuple(self.read(item, (*path, i)) for i, item in enumerate(node.value))
        assert isinstance(node, yaml.ScalarNode), "a node is a mapping, a sequence or a scalar"
        return self._scalar(node, where)

    def _mapping(self, node: yaml.MappingNode, path: PathTuple) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key_node, value_node in node.value:
            where = _location(key_node, self.file)
            if not isinstance(key_node, yaml.ScalarNode):
                self._problem(
                    "a key must be plain text", "Quote the key, or indent what was meant as a value.", where
                )
                continue
            key = key_node.value
            if key == "<<":
                self._problem(
                    "the merge key '<<' is not allowed", "Write a recipe and use `inherits: NAME`.", where
                )
                continue
            if not key_node.style and ":" in key and _is_nothing(value_node):
                what = f"the key {key!r} has no value"
                self._problem(what, "Write a space after the colon, or quote the key.", where)
                continue
            child = (*path, key)
            if key in result:
                first = self.keys[child]
                self._problem(
                    f"the key {key!r} is written twice (first in line {first.line})",
                    "Keep one of the two; YAML itself would silently use the last.",
                    where,
                )
                continue
            self.keys[child] = where
            result[key] = self.read(value_node, child)
        return result

    def _scalar(self, node: yaml.ScalarNode, where: Location) -> Any:
        text = node.value
        explicit = node.tag.rsplit(":", 1)[-1]
        if node.style in ("'", '"', "|", ">"):
            return text
        try:
            value = read_scalar(text)
        except ValueError:
            value = MAX_INTEGER + 1
        if isinstance(value, int) and abs(value) > MAX_INTEGER:
            what = f"the number {shown(text).strip(chr(39))} is too large"
            self._problem(what, "Quote it if text is meant.", where)
            return None
        if isinstance(value, str) and explicit not in ("str", "null"):
            self._problem(f"{text!r} does not fit its tag", "Remove the tag.", where)
        return value

    def _problem(self, what: str, remedy: str, where: Location) -> None:
        self.problems.append(Problem(what, remedy, where))
