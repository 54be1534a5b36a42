"""Files and folders are there whole or not at all, whenever their writer ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.store.atomic import (
    added_folder,
    move_file,
    remove_leftovers,
    replaced_file,
    replaced_folder,
    scratch_path,
    write_atomically,
)
from tests.support.disks import mounted


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def write_folder(folder: Path, text: str) -> None:
    with replaced_folder(folder) as scratch:
        (scratch / "weights").write_text(text)


def kill_while_writing(folder: Path, block: str) -> None:
    """Run `block` in a process that is killed in the middle of it."""
    code = (
        "import os, signal\nfrom pathlib import Path\nfrom pipeline.store.atomic import *\n"
        f"folder = Path({str(folder)!r})\n{block}\n    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    root = str(Path(__file__).resolve().parents[2])
    done = subprocess.run([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": root})
    assert done.returncode == -signal.SIGKILL


def test_a_file_takes_the_place_of_the_one_before(tmp_path: Path) -> None:
    for text in ("old", "new"):
        write_atomically(tmp_path / "a.json", text)
        assert (tmp_path / "a.json").read_text() == text
    assert names(tmp_path) == ["a.json"]


def test_what_fails_leaves_the_file_before_and_nothing_else(tmp_path: Path) -> None:
    write_atomically(tmp_path / "a.json", "old")
    with pytest.raises(ValueError), replaced_file(tmp_path / "a.json") as scratch:
        scratch.write_text("half")
        raise ValueError
    assert names(tmp_path) == ["a.json"] and (tmp_path / "a.json").read_text() == "old"


def test_a_writer_that_never_began_is_an_error_and_no_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), replaced_file(tmp_path / "a.json"):
        pass
    assert names(tmp_path) == []


def test_a_killed_writer_leaves_the_file_before_and_its_leftover_can_be_removed(tmp_path: Path) -> None:
    write_atomically(tmp_path / "a.json", "old")
    kill_while_writing(
        tmp_path, "with replaced_file(folder / 'a.json') as scratch:\n    scratch.write_text('half')"
    )
    assert (tmp_path / "a.json").read_text() == "old"
    assert len(names(tmp_path)) == 2 and all(name[0] == "." or name == "a.json" for name in names(tmp_path))
    (tmp_path / ".ab.json-host-1").touch()
    remove_leftovers(tmp_path / "a.json")
    assert names(tmp_path) == [".ab.json-host-1", "a.json"]


def test_the_message_of_a_disk_that_may_not_be_written_is_the_systems(tmp_path: Path) -> None:
    with (
        mounted(tmp_path / "disk", "ro") as disk,
        pytest.raises(OSError, match="Read-only") as caught,
    ):
        write_atomically(disk / "a.json", "new")
    assert caught.value.__context__ is None, "cleaning up failed, too, and hid it"


def test_two_processes_have_scratch_names_of_their_own(tmp_path: Path) -> None:
    ours = scratch_path(tmp_path / "a")
    code = f"from pipeline.store.atomic import *; print(scratch_path(Path({str(tmp_path / 'a')!r})))"
    assert ours.parent == tmp_path and ours.name.startswith(".a-")
    theirs = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert theirs.strip() not in ("", str(ours))


def test_a_folder_replaces_the_one_before_whole(tmp_path: Path) -> None:
    target = tmp_path / "steps" / "model"
    write_folder(target, "old")
    (target / "stale").touch()
    write_folder(target, "new")
    assert names(target) == ["weights"] and (target / "weights").read_text() == "new"
    assert names(target.parent) == ["model"]


def test_a_folder_that_fails_leaves_the_one_before(tmp_path: Path) -> None:
    write_folder(tmp_path / "model", "old")
    with pytest.raises(OSError, match="full"), replaced_folder(tmp_path / "model") as scratch:
        (scratch / "weights").write_text("half")
        raise OSError("full")
    assert names(tmp_path) == ["model"] and (tmp_path / "model" / "weights").read_text() == "old"


def test_a_folder_removes_what_a_killed_writer_left(tmp_path: Path) -> None:
    kill_while_writing(
        tmp_path,
        "with replaced_folder(folder / 'model') as scratch:\n    (scratch / 'weights').write_text('half')",
    )
    assert len(names(tmp_path)) == 1 and not (tmp_path / "model").exists()
    write_folder(tmp_path / "model", "whole")
    assert names(tmp_path) == ["model"] and (tmp_path / "model" / "weights").read_text() == "whole"


def test_of_two_that_add_a_folder_the_first_one_stays(tmp_path: Path) -> None:
    with added_folder(tmp_path / "code" / "digest") as late:
        (late / "a.py").write_text("late")
        (tmp_path / "code" / "digest").mkdir()
        (tmp_path / "code" / "digest" / "a.py").write_text("early")
    assert names(tmp_path / "code") == ["digest"]
    assert (tmp_path / "code" / "digest" / "a.py").read_text() == "early"


def test_a_folder_that_cannot_be_added_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="full"), added_folder(tmp_path / "digest") as scratch:
        (scratch / "a.py").touch()
        raise OSError("full")
    assert names(tmp_path) == []


def test_a_file_is_moved_over_another(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("new")
    (tmp_path / "b").write_text("old")
    move_file(tmp_path / "a", tmp_path / "b")
    assert names(tmp_path) == ["b"] and (tmp_path / "b").read_text() == "new"
