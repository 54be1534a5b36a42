"""A project folder of its own for a workflow test: the repository's code, its own specs and results."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

from tests.support import ROOT

SECRET = "hf_never_to_be_written_down"

LINKED = ("Snakefile", "rules", "pipeline", "profiles", "envs")


def make_project(folder: Path, specs: dict[str, str], *, results: Path | None = None) -> Path:
    """A folder in which `snakemake` and `studyc` work; results may be another project's, hard-linked."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in LINKED:
        (folder / name).symlink_to(ROOT / name)
    (folder / "specs").mkdir()
    for name, text in specs.items():
        (folder / "specs" / name).write_text(text)
    if results is not None:
        shutil.copytree(results, folder / "results", copy_function=os.link, symlinks=True)
    return folder


def environment() -> dict[str, str]:
    """The environment of a user's shell: one thread, no hub, nothing inherited from a running plan."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("STUDYC_PLAN", "STUDYC_CODE", "PYTEST"))}
    return {
        **kept,
        "OMP_NUM_THREADS": "1",
        "HF_HUB_OFFLINE": "1",
        "HF_TOKEN": SECRET,
        "PYTHONPATH": str(ROOT),
    }


def snakemake(
    project: Path, *words: str, study: str = "specs/smoke.yaml", check: bool = True, timeout: int = 600
) -> str:
    """Run Snakemake in a project; returns everything it printed."""
    command = [sys.executable, "-m", "snakemake", *words, "--config", f"studies={study}"]
    return _run(command, project, check, timeout)


def studyc(project: Path, *words: str, check: bool = True, timeout: int = 600) -> str:
    """Run studyc in a project; returns everything it printed."""
    return _run([sys.executable, "-m", "pipeline", *words], project, check, timeout)


def _run(command: list[str], project: Path, check: bool, timeout: int) -> str:
    done = subprocess.run(
        command,
        cwd=project,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=timeout,
    )
    assert not check or done.returncode == 0, (
        f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout[-6000:]}"
    )
    return done.stdout


def planned_jobs(project: Path, study: str = "specs/smoke.yaml") -> Counter[str]:
    """How many jobs of each stage a dry run of Snakemake would start."""
    shown = snakemake(project, "-n", study=study)
    if "Nothing to be done" in shown:
        return Counter()
    table = shown.split("Job stats:")[-1].split("total")[0].splitlines()
    found = {
        row.split()[0]: int(row.split()[1])
        for row in table
        if len(row.split()) == 2 and row.split()[1].isdigit()
    }
    return Counter({stage: n for stage, n in found.items() if stage != "all"})


def to_run(project: Path, study: str = "specs/smoke.yaml") -> Counter[str]:
    """How many artifacts of each stage `studyc plan` would make."""
    stages = json.loads(studyc(project, "plan", study, "--json"))["stages"]
    return Counter({stage: row["to_run"] for stage, row in stages.items() if row["to_run"]})


def record_times(project: Path) -> dict[str, int]:
    """When each record was written."""
    return {
        str(p.relative_to(project)): p.stat().st_mtime_ns
        for p in (project / "results").glob("*/*/record.json")
    }
