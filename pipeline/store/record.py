"""Records: the file whose presence means that an artifact is complete.

`record.json` is written last and atomically, after every other file has reached the disk; it holds the
artifact's identity, its provenance, what was measured, and the checksum of every file beside it (the
working files under `work/` are not part of the artifact). No record: not done.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.errors import InputError
from pipeline.store.atomic import write_atomically
from pipeline.store.paths import RECORD, WORK, record_path, record_text, stage_path, work_text

FORMAT = 1
_CHUNK = 1 << 22


def is_done(folder: Path) -> bool:
    """Whether an artifact is complete."""
    return record_path(folder).is_file()


def is_recorded(results: Path | str, stage: str, key: str) -> bool:
    """`is_done` by name, for whom asks about every artifact of a large plan."""
    return os.path.exists(record_text(results, stage, key))


def is_started(results: Path | str, stage: str, key: str) -> bool:
    """Whether an attempt at an artifact left working files; by name, like `is_recorded`."""
    return os.path.exists(work_text(results, stage, key))


def list_stages(results: Path) -> list[str]:
    """The folders of results/, in order: every stage that has artifacts is among them."""
    return sorted(path.name for path in results.iterdir() if path.is_dir()) if results.is_dir() else []


def list_begun(results: Path, stage: str) -> frozenset[str]:
    """The keys of a stage that have a folder, done or not; one listing, however many there are."""
    try:
        return frozenset(os.listdir(stage_path(results, stage)))
    except OSError:
        return frozenset()


def list_done(results: Path, stage: str) -> list[Path]:
    """The folders of a stage's finished artifacts, in order."""
    return sorted(path.parent for path in stage_path(results, stage).glob(f"*/{RECORD}"))


def read_record(folder: Path) -> dict[str, Any]:
    """The record of an artifact; InputError where it is missing or not a record."""
    path = record_path(folder)
    try:
        content = json.loads(path.read_text())
    except FileNotFoundError:
        raise InputError(f"{folder}: not done, it has no {RECORD}", "Run the study.") from None
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
        found += [here / n for n in names if not n.startswith(".") and not (here == folder and n == RECORD)]
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
        record_path(folder),
        json.dumps({"format": FORMAT, **content, "files": files}, indent=1, sort_keys=True, allow_nan=False)
        + "\n",
    )


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
