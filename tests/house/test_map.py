"""The maps are of this house: what README, CONTRIBUTING and docs/ name is there, and what is there has its line."""

from __future__ import annotations

import ast
import functools
import re
import tomllib
from pathlib import Path

import pytest

from tests.support import ROOT

PAGES = sorted(
    [
        *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
        *(path for path in (ROOT / "docs").rglob("*.md") if path.parent.name != "reference"),
    ]
)
MAP = ROOT / "docs" / "architecture.md"
_PATH = re.compile(r"(?<![\w./-])(?:pipeline|rules|tests|profiles|envs|docs)/[\w./<>-]*[\w/>]")
_DOTTED = re.compile(r"(?<![\w./-])pipeline(?:\.\w+)+")
_ROW = re.compile(r"^\| \[[^]]+\]\(\.\./(pipeline/[\w/]+\.py)\) \| ([^|]*) \|", re.MULTILINE)


@functools.cache
def defined(path: Path) -> frozenset[str]:
    """What a module defines, without importing it: `name`, and `Class.member`."""

    def names(body: list[ast.stmt]) -> set[str]:
        found: set[str] = set()
        for node in body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                found.add(node.name)
                if isinstance(node, ast.ClassDef):
                    found |= {f"{node.name}.{name}" for name in names(node.body)}
            elif isinstance(node, ast.Assign):
                found |= {target.id for target in node.targets if isinstance(target, ast.Name)}
            elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                found.add(node.target.id)
        return found

    return frozenset(names(ast.parse(path.read_text()).body))


def is_there(dotted: str) -> bool:
    """Whether `pipeline.room.module` is a module or package, or what follows it is defined there."""
    words = dotted.split(".")
    for count in range(len(words), 0, -1):
        folder, rest = ROOT.joinpath(*words[:count]), ".".join(words[count:])
        for module in (folder.with_suffix(".py"), folder / "__init__.py"):
            if module.is_file():
                return not rest or rest in defined(module)
    return False


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_file_and_module_that_a_page_names_is_there(page: Path) -> None:
    """`<name>` stands for any name: something must fit."""
    text = page.read_text()
    paths = {path for path in _PATH.findall(text) if not any(ROOT.glob(re.sub(r"<\w+>", "*", path)))}
    modules = {name for name in _DOTTED.findall(text) if not is_there(name)}
    assert not paths | modules


ROWS = _ROW.findall(MAP.read_text())


def test_the_journeys_have_their_stations() -> None:
    assert len(ROWS) >= 30


@pytest.mark.parametrize(("path", "functions"), ROWS, ids=[path for path, _ in ROWS])
def test_what_a_station_of_a_journey_names_is_defined_in_its_file(path: str, functions: str) -> None:
    named = re.findall(r"`([\w.]+)`", functions)
    assert named and set(named) <= defined(ROOT / path)


def test_the_picture_of_the_layers_is_the_contract() -> None:
    drawn = re.search(r"## Layers\n.*?```text\n(.*?)```", MAP.read_text(), re.DOTALL)[1]
    lines = [re.split(r"\s{2,}", line.strip())[0] for line in drawn.splitlines() if re.match(r"  \S", line)]
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (layers,) = [contract["layers"] for contract in contracts if contract["type"] == "layers"]
    assert lines == layers


def test_the_tree_in_the_readme_has_a_line_for_every_room() -> None:
    tree = re.search(r"## The house\n\n```\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)[1]
    rooms = {path.parent.name for path in (ROOT / "pipeline").glob("*/__init__.py")}
    assert sorted(re.findall(r"^  (\w+)/ ", tree, re.MULTILINE)) == sorted(rooms)
    top = re.findall(r"(?:^|(?<=\w/ ))(\w+)/(?= )", tree, re.MULTILINE)
    assert all((ROOT / name).is_dir() for name in top if name != "results")
