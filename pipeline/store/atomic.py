"""Files and folders that are there whole or not at all: written beside their place under a hidden name, then renamed.

Guaranteed: a process that is killed, or a disk that is full, leaves what was there before. Only `write_atomically`
flushes to the disk; the files of an artifact are flushed together when its record is written.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path


def scratch_path(path: Path) -> Path:
    """A hidden name beside `path` that is this process's alone, on a file system that machines share, too."""
    return path.with_name(f".{path.name}-{socket.gethostname()}-{os.getpid()}")


def remove_leftovers(path: Path) -> None:
    """Remove what killed writers of `path` left beside it; only for whom alone may write it now."""
    for left in path.parent.glob(f".{path.name}-*"):
        if left.is_dir():
            shutil.rmtree(left, ignore_errors=True)
        else:
            left.unlink(missing_ok=True)


def move_file(source: Path, target: Path) -> None:
    """Give a whole file its place on the same file system; a file that is there is replaced."""
    os.replace(source, target)


@contextlib.contextmanager
def replaced_file(path: Path) -> Iterator[Path]:
    """A name to write to; what is there when the block ends takes the place of `path`, or vanishes on an error."""
    scratch = scratch_path(path)
    try:
        yield scratch
        move_file(scratch, path)
    finally:
        with contextlib.suppress(OSError):
            scratch.unlink()


def write_atomically(path: Path, text: str) -> None:
    """Replace a file by a text that has reached the disk."""
    with replaced_file(path) as scratch, scratch.open("w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())


@contextlib.contextmanager
def replaced_folder(path: Path) -> Iterator[Path]:
    """A new folder to fill; it takes the place of `path` when the block ends, or vanishes on an error.

    For one writer at a time: what killed ones left is removed first.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_leftovers(path)
    scratch = scratch_path(path)
    scratch.mkdir()
    outdated = scratch.with_name(f"{scratch.name}-outdated")
    try:
        yield scratch
        if path.exists():
            os.replace(path, outdated)
        os.replace(scratch, path)
    finally:
        for left in (scratch, outdated):
            shutil.rmtree(left, ignore_errors=True)


@contextlib.contextmanager
def added_folder(path: Path) -> Iterator[Path]:
    """A new folder to fill that becomes `path`, unless another process was faster: what it put there stays.

    For folders that are named by their content, which several processes may add at once.
    """
    scratch = scratch_path(path)
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    try:
        yield scratch
        os.replace(scratch, path)
    except OSError:
        if not path.is_dir():
            raise
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
