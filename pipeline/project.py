"""Where Snakefile, rules, profiles and the default site file lie: beside the package in a clone, inside it in a wheel.

A *project folder* is a clone, or one that looks like it: Snakemake finds everything there by itself. Any other
folder that has a specs/ is fine, too: `studyc run` names the files that came with studyc. (Never asked in a job:
its package is the plan's snapshot, beside which nothing lies.)
"""

from __future__ import annotations

from pathlib import Path

PACKAGE = Path(__file__).resolve().parent

_IN_WHEEL = PACKAGE / "project_files"  # see [tool.hatch.build.targets.wheel.force-include] in pyproject.toml

IS_INSTALLED = _IN_WHEEL.is_dir()
"""Whether this package came in a wheel, without a clone around it."""

FILES = _IN_WHEEL if IS_INSTALLED else PACKAGE.parent
"""The folder with Snakefile, rules/, profiles/ and envs/."""


def is_project(folder: Path) -> bool:
    """Whether a folder has studyc's Snakefile with its package beside it."""
    return (folder / "Snakefile").is_file() and (folder / "pipeline" / "backend").is_dir()


def snakefile_words() -> list[str]:
    """What to tell Snakemake of where its Snakefile is: nothing in a project folder."""
    return [] if is_project(Path.cwd()) else ["--snakefile", str(FILES / "Snakefile")]


def find_profile(name: str) -> Path | None:
    """A profile's folder: the one here, or the one of that name that came with studyc; None: Snakemake knows others."""
    for folder in (Path(name), FILES / name, FILES / "profiles" / name):
        if folder.is_dir():
            return folder
    return None
