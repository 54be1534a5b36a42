"""However an attempt ends, its folder, `status` and the end of `run` say why and what to do; never a traceback."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipeline.backend.job_process import execute, main
from pipeline.errors import StageError, StudyError
from pipeline.plan.compiled import compile_plan
from pipeline.plan.freeze import freeze, write_frozen
from pipeline.plan.frozen import FrozenPlan, read_frozen
from pipeline.plan.status import failures, state_of
from pipeline.site import Environment, Site
from pipeline.store.lock import is_locked
from tests.support.project import environment
from tests.support.studies import BASIC

pytestmark = pytest.mark.xdist_group("workflow")


def frozen(folder: Path, **site: object) -> FrozenPlan:
    """The basic study frozen in a folder, for a site."""
    (folder / "study.yaml").write_text(BASIC)
    plan = compile_plan([folder / "study.yaml"], results=folder / "results")
    found = freeze(plan, Site(**site))
    write_frozen(plan, found)
    return read_frozen(found.path)


def first(plan: FrozenPlan, stage: str) -> str:
    return next(key for key in plan.artifacts if plan.stage(key) == stage)


def told(folder: Path, key: str) -> str:
    """What `status` and the end of `run` say of an artifact."""
    plan = compile_plan([folder / "study.yaml"], results=folder / "results")
    (failure,) = [f for f in failures(plan) if f.key == key]
    return f"{failure.message}\n{failure.remedy}"


ENDS = {
    "kill -9 $$": "killed by SIGKILL .*memory.*\nRun again: it resumes.*mem_mb",
    "exit 137": "killed by SIGKILL .*memory.*\nRun again: it resumes",
    "kill -TERM $$": "stopped by SIGTERM\nRun again: it resumes",
    "exit 130": "stopped by SIGINT\nRun again: it resumes",
    "echo KeyboardInterrupt; exit 1": "stopped by SIGINT\nRun again: it resumes",
    "kill -SEGV $$": "crashed with SIGSEGV\nRun again: it resumes",
    "echo libfoo.so is missing; exit 3": "exit code 3: libfoo.so is missing\n.*\nlog: .*001.log",
    "exit 0": "exit code 0\n",
}


@pytest.mark.parametrize("end", ENDS)
def test_the_end_of_a_stages_process_is_explained(end: str, tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\n{end}\n")
    python.chmod(0o755)
    plan = frozen(tmp_path, environments={"training": Environment(python=str(python))})
    key = first(plan, "source")
    with pytest.raises(StageError, match=f"{key}: .*{ENDS[end].splitlines()[0]}"):
        execute(plan, key)
    assert re.search(ENDS[end], told(tmp_path, key))


@pytest.mark.parametrize("setup", ["", "true"])
@pytest.mark.parametrize("is_there", [False, True])
def test_an_interpreter_that_does_not_start_is_named_with_its_environment(
    setup: str, is_there: bool, tmp_path: Path
) -> None:
    python = tmp_path / "nowhere" / "python"
    if is_there:
        python.parent.mkdir()
        python.write_text("not a program")
    plan = frozen(tmp_path, environments={"training": Environment(python=str(python), setup=setup)})
    key = first(plan, "source")
    with pytest.raises(StageError, match=f"the Python of environment 'training' does not start: {python}"):
        execute(plan, key)
    assert re.search(r"Set it up \(`make env`\), or name one .* in the site file", told(tmp_path, key))


def test_a_damaged_input_is_noted_where_it_was_needed(tmp_path: Path) -> None:
    plan = frozen(tmp_path)
    filtered = first(plan, "filter")
    (source,) = plan.artifact(filtered).input_keys
    execute(plan, source)
    (plan.folder(source) / "rows.parquet").write_bytes(b"")
    with pytest.raises(StageError, match="is damaged"):
        execute(plan, filtered)
    assert re.search(rf"its input {source} is damaged: .*\nRestore the file", told(tmp_path, filtered))
    (plan.folder(source) / "record.json").write_text("{")
    with pytest.raises(StudyError, match="not readable as a record"):
        execute(plan, filtered)
    assert "Move the folder away" in told(tmp_path, filtered)


def test_an_attempt_that_is_killed_with_its_keeper_is_told_by_status(tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\nexec sleep 60\n")
    python.chmod(0o755)
    plan = frozen(tmp_path, environments={"training": Environment(python=str(python))})
    key = first(plan, "source")
    job = subprocess.Popen(
        [sys.executable, "-m", "pipeline.backend.job_process", str(plan.path), key],
        env=environment(),
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    while not (plan.folder(key) / "work" / "job.json").exists():
        assert job.poll() is None
        time.sleep(0.05)
    assert state_of(compile_plan([tmp_path / "study.yaml"], results=tmp_path / "results"), key) == "running"
    os.killpg(job.pid, signal.SIGKILL)
    job.wait()
    deadline = time.monotonic() + 30
    while is_locked(plan.folder(key)):  # its child is killed as well, and nobody waits for that one
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert "ended without a word: killed" in told(tmp_path, key)


def test_an_artifact_that_was_finished_since_the_plan_looked_has_not_failed(tmp_path: Path) -> None:
    plan = frozen(tmp_path)
    key = first(plan, "source")
    plan.folder(key).mkdir(parents=True)
    compiled = compile_plan([tmp_path / "study.yaml"], results=tmp_path / "results")
    assert key not in compiled.done and key in compiled.begun
    execute(plan, key)
    assert state_of(compiled, key) == "done"


def test_results_that_cannot_be_written_are_a_message(disk: Path, capsys) -> None:
    plan = frozen(disk)
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    assert main([str(plan.path), first(plan, "source")]) == StageError.exit_code
    shown = capsys.readouterr().err
    assert re.search(r"error: .*/source: Read-only file system\n    Let this user write there", shown)
