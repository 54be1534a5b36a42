"""One cluster and one finished, thoroughly disturbed study for all tests of this folder."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from tests.slurm.cluster import Cluster, missing, started
from tests.slurm.project import STUDY, Project, Run


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A running cluster, or a skip that says what is missing."""
    if reason := missing():
        pytest.skip(reason)
    with started(tmp_path_factory.mktemp("cluster")) as running:
        yield running


@dataclass
class Disturbed:
    """A study that ran to its end on the cluster although its SFT job was killed, warned and preempted."""

    project: Project
    code: int
    output: str
    jobs: list[dict[str, str]]
    saved_steps: list[int] = field(default_factory=list)
    sft_jobs: list[str] = field(default_factory=list)

    def jobs_of(self, stage: str) -> list[dict[str, str]]:
        """What the controller said of the jobs of a stage, in the order of submission."""
        found = [job for job in self.jobs if job.get("Comment", "").startswith(f"rule_{stage}_")]
        return sorted(found, key=lambda job: int(job["JobId"]))


@pytest.fixture(scope="session")
def disturbed(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Disturbed:
    """Run the study; edit spec and package at its start; kill, warn and preempt the SFT job in turn."""
    project = Project(tmp_path_factory.mktemp("slurm") / "project", cluster.mark())
    run = project.start()
    seen = Disturbed(project, -1, "", [])
    try:
        _wait(lambda: cluster.running("rule_base_"), run)
        with _edited(project):
            for disturb in (_kill, _warn, _preempt):
                _wait_for_a_new_checkpoint(seen, cluster, run)
                disturb(cluster, project, seen.sft_jobs[-1])
            seen.code = run.wait()
    finally:
        run.process.kill()
    seen.output, seen.jobs = run.output, cluster.jobs()
    return seen


class _edited:
    """While it lasts, the project's spec says something else and its package cannot even be imported."""

    def __init__(self, project: Project) -> None:
        self.spec = project.folder / "specs" / "cluster.yaml"
        self.modules = [
            project.folder / "pipeline" / name
            for name in ("backend/job_process.py", "store/record.py", "backend/workflow.py")
        ]
        self.texts = {path: path.read_text() for path in (self.spec, *self.modules)}

    def __enter__(self) -> None:
        self.spec.write_text(STUDY.replace("rows: 100", "rows: 7").replace("samples: 1", "samples: 3"))
        for path in self.modules:
            path.write_text("raise SystemExit('this module was edited during the run')\n")

    def __exit__(self, *_: object) -> None:
        for path, text in self.texts.items():
            path.write_text(text)


def _kill(cluster: Cluster, project: Project, job: str) -> None:
    """kill -9 of the stage's process, as the kernel does it where memory runs out."""
    (folder,) = project.artifacts("sft")
    for process in psutil.process_iter(["cmdline", "cwd"]):
        words = process.info["cmdline"] or []
        if (
            process.info["cwd"] == str(project.folder)
            and any(folder.name in w for w in words)
            and "pipeline.backend.stage_process" in words
        ):
            process.kill()


def _warn(cluster: Cluster, project: Project, job: str) -> None:
    """The signal of `--signal=USR1@…`, to every process of the job's steps, as the controller sends it."""
    cluster.call("scancel", "--signal=USR1", job)


def _preempt(cluster: Cluster, project: Project, job: str) -> None:
    """A job of higher priority takes the whole node."""
    cluster.call(
        "sbatch",
        "--partition=urgent",
        "--nodelist=c1",
        "--exclusive",
        "--mem=0",
        "--time=1",
        "--output=/dev/null",
        "--wrap=sleep 1",
    )


def _wait_for_a_new_checkpoint(seen: Disturbed, cluster: Cluster, run: Run) -> None:
    """Until the next attempt of the SFT job has itself saved something."""
    attempt = len(seen.saved_steps) + 1
    at_start: list[int] = []

    def has_saved() -> bool:
        if _attempts(seen.project) < attempt:
            return False
        at_start.append(_saved_step(seen.project))
        return at_start[-1] > at_start[0]

    _wait(has_saved, run)
    seen.saved_steps.append(_saved_step(seen.project))
    seen.sft_jobs += cluster.running("rule_sft_")


def _attempts(project: Project) -> int:
    return sum(len(list((folder / "work" / "attempts").glob("*.log"))) for folder in project.artifacts("sft"))


def _saved_step(project: Project) -> int:
    for folder in project.artifacts("sft"):
        state: Path = folder / "work" / "state.json"
        if state.exists():
            return json.loads(state.read_text())["furthest_step"]
    return 0


def _wait(is_so: Callable[[], object], run: Run, seconds: float = 400) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert run.process.poll() is None and time.monotonic() < deadline, (
            f"it did not come to that:\n{run.output[-6000:]}"
        )
        time.sleep(0.2)
