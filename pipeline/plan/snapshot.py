"""The package as it is when a run begins: its digest, its commit, and the copy that the run's jobs execute."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from pathlib import Path

from pipeline import __version__
from pipeline.project import IS_INSTALLED, PACKAGE
from pipeline.store.atomic import added_folder
from pipeline.store.paths import code_path


def _package_files() -> list[Path]:
    return sorted(p for p in PACKAGE.rglob("*") if p.is_file() and "__pycache__" not in p.parts)


def code_digest() -> str:
    """The name of this package's content."""
    sha = hashlib.sha256()
    for path in _package_files():
        sha.update(f"{path.relative_to(PACKAGE).as_posix()}\0".encode() + path.read_bytes())
    return sha.hexdigest()[:12]


def snapshot_code(results: Path, name: str) -> None:
    """Copy the package into the results under the name of its content, unless it is there."""
    target = code_path(results, name)
    if target.is_dir():
        return
    with added_folder(target) as scratch:
        for path in _package_files():
            copy = scratch / PACKAGE.name / path.relative_to(PACKAGE)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)


def code_commit() -> str:
    """The commit of the code, with `+changes` where the working tree differs; `unknown` outside git.

    A wheel has no commit but a version; a repository that its environment may lie in is somebody else's.
    """
    if IS_INSTALLED:
        return f"v{__version__}"
    try:
        command = [
            "git",
            "-C",
            str(PACKAGE),
            "describe",
            "--always",
            "--abbrev=40",
            "--dirty=+changes",
            "--exclude=*",
        ]
        found = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
        return found.stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return "unknown"
