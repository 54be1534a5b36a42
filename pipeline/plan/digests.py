"""Digests of local files and folders, remembered by size and modification time.

A local source's identity is its content, not its path. Reading gigabytes for every plan would not be
instant, so digests are kept in a small cache in the user's cache folder; a changed size or
modification time reads the file again.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path

from pipeline.errors import Location, Problem
from pipeline.spec.levels import Problems
from pipeline.stages.source import digest_path
from pipeline.store.atomic import replaced_file

MISSING = "missing"


def cache_path() -> Path:
    """Where digests are remembered (STUDYC_CACHE, or the user's cache folder)."""
    root = (
        os.environ.get("STUDYC_CACHE")
        or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "studyc"
    )
    return Path(root) / "digests.json"


def folder_digest(path: str, problems: Problems, where: Location) -> str:
    """The digest of a file, or of a folder's files and their relative names; a missing one is noted."""
    target = Path(path).expanduser()
    if not target.exists():
        problems.append(
            Problem(
                f"there is no file or folder {path!r}",
                "Check the path; relative paths count from the working folder.",
                where,
            )
        )
        return MISSING
    if not (target.is_file() or target.is_dir()):
        problems.append(Problem(f"{path!r} is neither a file nor a folder", "Name one of them.", where))
        return MISSING
    try:
        return path_digest(target)
    except OSError as error:
        problems.append(
            Problem(f"{path!r} cannot be read: {error.strerror}", "Check its permissions.", where)
        )
        return MISSING


def path_digest(target: Path) -> str:
    """`digest_path` of a file or folder, read again only when a size, a time or a name changed."""
    files = [target] if target.is_file() else sorted(p for p in target.rglob("*") if p.is_file())
    stamps = [(str(p.relative_to(target)), s.st_size, s.st_mtime_ns) for p in files for s in [p.stat()]]
    stamp = hashlib.sha256(json.dumps(stamps).encode()).hexdigest()
    name = str(target.resolve())
    cache = _remembered(cache_path())
    known, found = cache.get(name, ("", ""))
    if known != stamp:
        found = digest_path(target)
        _keep(cache_path(), {**cache, name: (stamp, found)})
    return found


def _remembered(cache_file: Path) -> dict[str, tuple[str, str]]:
    """Path → (stamp, digest); nothing where the cache cannot be read."""
    try:
        cache: object = json.loads(cache_file.read_text())
    except (OSError, ValueError):
        return {}
    return cache if isinstance(cache, dict) else {}


def _keep(cache_file: Path, cache: Mapping[str, tuple[str, str]]) -> None:
    """Write the cache; a read-only home only makes the next plan slower."""
    try:
        cache_file.parent.mkdir(parents=True, exist_ok=True)
        with replaced_file(cache_file) as scratch:
            scratch.write_text(json.dumps(cache))
    except OSError:
        return
