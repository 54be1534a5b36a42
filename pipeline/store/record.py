"""Records: the file whose presence means that an artifact is complete, and the lock of its writer.

`record.json` is written last and atomically, after every other file has reached the disk; it holds the
artifact's identity, its provenance, what was measured, and the checksum of every file beside it (the
working files under `work/` are not part of the artifact). No record: not done.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pipeline.errors import InputError, RefusedError

NAME = "record.json"
FORMAT = 1
WORK = "work"
WAIT_SECONDS = 0.5
_CHUNK = 1 << 22


def record_path(results: Path, stage: str, key: str) -> Path:
    """Where the record of an artifact lies."""
    return results / stage / key / NAME


def is_done(folder: Path) -> bool:
    """Whether an artifact is complete."""
    return (folder / NAME).is_file()


def read_record(folder: Path) -> dict[str, Any]:
    """The record of an artifact; InputError where it is missing or not a record."""
    path = folder / NAME
    try:
        content = json.loads(path.read_text())
    except FileNotFoundError:
        raise InputError(f"{folder}: not done, it has no {NAME}", "Run the study.") from None
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path}: not readable as a record: {error}", "Move the folder away and run the study again."
        ) from None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise InputError(
            f"{path}: not a record of format {FORMAT}",
            "It was written by another version of studyc; see docs/adr/0003-identity.md.",
        )
    return content


def artifact_files(folder: Path) -> list[Path]:
    """Every file of an artifact, in order: all but the record, hidden files and what lies under work/."""
    found = []
    for root, folders, names in os.walk(folder):
        here = Path(root)
        folders[:] = sorted(
            f for f in folders if not (here == folder and f == WORK) and not f.startswith(".")
        )
        found += [here / n for n in names if not n.startswith(".") and not (here == folder and n == NAME)]
    return sorted(found)


def checksum(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(_CHUNK):
            digest.update(block)
    return digest.hexdigest()


def write_record(folder: Path, content: Mapping[str, Any]) -> None:
    """Checksum the artifact's files, flush them to disk, then put the record in place atomically."""
    files = {}
    for path in artifact_files(folder):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        files[str(path.relative_to(folder))] = {"sha256": checksum(path), "bytes": path.stat().st_size}
    write_atomically(
        folder / NAME,
        json.dumps({"format": FORMAT, **content, "files": files}, indent=1, sort_keys=True, allow_nan=False)
        + "\n",
    )


def write_atomically(path: Path, text: str) -> None:
    """Replace a file by a text: it is there whole or not at all."""
    scratch = path.with_name(f".{path.name}.{socket.gethostname()}.{os.getpid()}")
    try:
        with scratch.open("w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(scratch, path)
    finally:
        scratch.unlink(missing_ok=True)


def find_damage(folder: Path) -> str | None:
    """The first file of a finished artifact that is missing or of another size; a look, not a checksum."""
    for name, expected in read_record(folder)["files"].items():
        path = folder / name
        if not path.is_file():
            return f"{path}: missing"
        if path.stat().st_size != expected["bytes"]:
            return f"{path}: changed since it was recorded"
    return None


def verify(folder: Path) -> list[str]:
    """What is wrong with a finished artifact: its record, or files changed, missing, added or unreadable."""
    try:
        listed: Mapping[str, Any] = read_record(folder)["files"]
    except InputError as error:
        return [error.what]
    faults = [fault for name, expected in listed.items() if (fault := _fault(folder / name, expected))]
    present = {str(path.relative_to(folder)) for path in artifact_files(folder)}
    return faults + [f"{folder / name}: not in the record" for name in sorted(present - set(listed))]


def _fault(path: Path, expected: Mapping[str, Any]) -> str | None:
    try:
        if not path.is_file():
            return f"{path}: missing"
        if path.stat().st_size != expected["bytes"] or checksum(path) != expected["sha256"]:
            return f"{path}: changed since it was recorded"
    except OSError as error:
        return f"{path}: not readable: {error.strerror}"
    return None


@contextlib.contextmanager
def writer_lock(folder: Path, wait: Callable[[str], None] | None = None) -> Iterator[int]:
    """Hold the only right to write an artifact. Where another process holds it: `wait` is told whom we wait for; else RefusedError.

    The lock is the kernel's (it vanishes with its holder, also on kill -9) and is inherited by child
    processes that are given the yielded descriptor, so an orphan still keeps others out.
    """
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        if not _take(descriptor):
            holder = os.pread(descriptor, 200, 0).decode(errors="replace").strip() or "another process"
            if wait is None:
                raise RefusedError(
                    f"{folder}: being written by {holder}",
                    "Wait for it to end, or end it; the lock goes with the process.",
                )
            wait(holder)
            while not _take(descriptor, tries=1):
                time.sleep(WAIT_SECONDS)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"process {os.getpid()} on {socket.gethostname()}".encode(), 0)
        yield descriptor
    finally:
        os.close(descriptor)


def _take(descriptor: int, tries: int = 10) -> bool:
    """Take the lock; `status` may hold it for a moment, so a few tries."""
    for left in reversed(range(tries)):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if left:
                time.sleep(0.1)
        except OSError as error:
            raise RefusedError(
                f"the file system of the results gives no locks: {error.strerror}",
                "Name a results folder on one that does (Lustre does where it is mounted with -o flock).",
            ) from None
    return False
