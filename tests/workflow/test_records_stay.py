"""A record that is written stays: kills of Snakemake, its own clean-up and other runs remove none."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.project import environment, make_project, record_times, snakemake, studyc
from tests.support.studies import BASIC

pytestmark = pytest.mark.xdist_group("workflow")

STUDY = "specs/study.yaml"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project in which nothing is done yet."""
    return make_project(tmp_path / "project", {"study.yaml": BASIC})


def source_records(project: Path) -> list[str]:
    """The records of the study's two sources, which need nothing."""
    shown = json.loads(studyc(project, "plan", STUDY, "--json"))
    return [
        f"results/source/{entry['key']}/record.json"
        for entry in shown["to_run"]
        if entry["stage"] == "source"
    ][:2]


def start_snakemake(project: Path, *words: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "snakemake", "--cores", "1", *words, "--config", f"study={STUDY}"]
    return subprocess.Popen(
        command,
        cwd=project,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def wait_for(path: Path, run: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while not path.exists():
        assert run.poll() is None and time.monotonic() < deadline
        time.sleep(0.001)


def test_what_was_finished_when_snakemake_was_killed_is_not_made_again(project: Path) -> None:
    first, second = source_records(project)
    run = start_snakemake(project, first)
    wait_for(project / first, run)
    os.killpg(run.pid, signal.SIGKILL)  # the record is there; Snakemake does not know yet
    run.wait()
    assert [p for p in (project / ".snakemake" / "incomplete").rglob("*") if p.is_file()]
    before = record_times(project)
    shown = snakemake(project, "--cores", "1", first, second, study=STUDY)
    assert "1 of 1 steps" in shown
    assert record_times(project).items() >= before.items()
    snakemake(project, "--cores", "1", "--rerun-incomplete", first, second, study=STUDY)
    assert record_times(project).items() >= before.items()


def test_what_another_run_finishes_meanwhile_stays(project: Path) -> None:
    records = source_records(project)
    snakemake(project, "--cores", "2", *records, study=STUDY)
    folders = [(project / record).parent for record in records]
    for folder in folders:
        folder.rename(project / folder.name)
    run = start_snakemake(project, *records)  # one core: the second job starts when the first has ended
    started = lambda: [folder for folder in folders if (folder / ".lock").exists()]
    while not started():
        assert run.poll() is None
        time.sleep(0.01)
    (other,) = set(folders) - set(started())
    (project / other.name).rename(other)
    made = (other / "record.json").stat().st_ino
    assert run.wait(timeout=120) == 0
    assert (other / "record.json").stat().st_ino == made


def test_what_is_forced_is_made_again(project: Path) -> None:
    records = source_records(project)
    snakemake(project, "--cores", "2", *records, study=STUDY)
    before = record_times(project)
    snakemake(project, "--cores", "2", *records, "--forcerun", "source", study=STUDY)
    after = record_times(project)
    assert after.keys() == before.keys()
    assert all(after[name] > before[name] for name in records)


def test_two_runs_at_once_make_everything_once_and_both_end_well(project: Path) -> None:
    records = source_records(project)
    runs = [start_snakemake(project, *records) for _ in range(2)]
    assert [run.wait(timeout=120) for run in runs] == [0, 0]
    for record in records:
        assert len(list((project / record).parent.glob("work/attempts/*.log"))) == 1
