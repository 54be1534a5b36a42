"""No modules import one another in a circle, wherever the import stands, and no stage's engine imports another's."""

from __future__ import annotations

import grimp
import pytest

from pipeline import stages

ENGINES = "pipeline.engines"


@pytest.fixture(scope="module")
def imports() -> dict[str, set[str]]:
    """Per module of the package what it imports: at the top, inside functions, under TYPE_CHECKING."""
    graph = grimp.build_graph("pipeline", exclude_type_checking_imports=False, cache_dir=None)
    return {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}


def find_circles(imports: dict[str, set[str]]) -> list[list[str]]:
    """The modules that can be reached from one another, circle by circle (Tarjan's strongly connected components)."""
    circles: list[list[str]] = []
    number: dict[str, int] = {}
    lowest: dict[str, int] = {}
    stack: list[str] = []

    def visit(module: str) -> None:
        number[module] = lowest[module] = len(number)
        stack.append(module)
        for other in sorted(imports.get(module, ())):
            if other not in number:
                visit(other)
                lowest[module] = min(lowest[module], lowest[other])
            elif other in stack:
                lowest[module] = min(lowest[module], number[other])
        if lowest[module] == number[module]:
            place = stack.index(module)
            members, stack[place:] = sorted(stack[place:]), []
            if len(members) > 1 or module in imports.get(module, ()):
                circles.append(members)

    for module in sorted(imports):
        if module not in number:
            visit(module)
    return circles


def rooms_of(imports: dict[str, set[str]], package: str) -> dict[str, set[str]]:
    """What the direct parts of a package (modules and rooms) import of one another."""
    rooms: dict[str, set[str]] = {}
    for module, others in imports.items():
        if module.startswith(f"{package}."):
            here = _room(module, package)
            there = {_room(other, package) for other in others if other.startswith(f"{package}.")}
            rooms.setdefault(here, set()).update(there - {here})
    return rooms


def _room(module: str, package: str) -> str:
    return module.removeprefix(f"{package}.").partition(".")[0]


def test_circles_are_found() -> None:
    chain = {"a": {"b"}, "b": {"c"}, "c": set()}
    assert find_circles(chain) == []
    assert find_circles(chain | {"c": {"a"}, "d": {"a"}, "e": {"e"}}) == [["a", "b", "c"], ["e"]]


def test_no_modules_import_one_another_in_a_circle(imports) -> None:
    circles = find_circles(imports)
    assert not circles, "\n".join(" ↔ ".join(circle) for circle in circles)


def test_no_rooms_of_the_engines_import_one_another_in_a_circle(imports) -> None:
    circles = find_circles(rooms_of(imports, ENGINES))
    assert not circles, "\n".join(" ↔ ".join(circle) for circle in circles)


def test_nothing_in_the_engines_imports_a_stages_engine(imports) -> None:
    of_stages = {f"{ENGINES}.{name}" for name in stages.names()}
    wrong = {
        f"{module} imports {other}"
        for module, others in imports.items()
        if module.startswith(f"{ENGINES}.")
        for other in others & of_stages
    }
    assert not wrong
