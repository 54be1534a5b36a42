"""The tests lie as the package lies: who changes a room finds its tests under the same name, and the other way round."""

from __future__ import annotations

from pathlib import Path

from tests.support import ROOT

TESTS, PACKAGE = ROOT / "tests", ROOT / "pipeline"

WHOLE = {"house", "install", "slurm", "workflow"}
"""Folders that mirror no room: what the repository promises of itself, environments made for a test, runs on a cluster, runs of Snakemake."""


def rooms() -> set[Path]:
    """The folders of the package that have modules."""
    return {path.parent.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py")} - {Path()}


def test_every_test_lies_where_its_subject_lies() -> None:
    lost = []
    for path in TESTS.rglob("test_*.py"):
        folder = path.parent.relative_to(TESTS)
        is_at_home = (
            folder in rooms() if folder.parts else (PACKAGE / path.name.removeprefix("test_")).exists()
        )
        if not is_at_home and folder.parts[:1] not in [(name,) for name in WHOLE]:
            lost.append(str(path.relative_to(ROOT)))
    assert not lost, (
        "put them where the module that they test lies, or into tests/workflow if they run everything"
    )


def test_every_room_has_tests() -> None:
    without = sorted(str(room) for room in rooms() if not list((TESTS / room).glob("test_*.py")))
    assert not without, "each has a folder of this name in tests/"


def test_every_folder_of_tests_is_a_package() -> None:
    """Two files may have one name (tests/engines/judging/test_vllm.py), since pytest then imports them by their whole name."""
    folders = {path.parent for path in TESTS.rglob("*.py")}
    assert not [str(folder.relative_to(ROOT)) for folder in folders if not (folder / "__init__.py").exists()]


def test_helpers_lie_in_one_place() -> None:
    allowed = {"__init__.py", "conftest.py"}
    others = [
        str(path.relative_to(ROOT))
        for path in TESTS.rglob("*.py")
        if path.name not in allowed
        and not path.name.startswith("test_")
        and path.relative_to(TESTS).parts[0] not in {"support", *WHOLE}
    ]
    assert not others, "what several tests share lies in tests/support"
