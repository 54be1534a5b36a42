"""However a run ends, it says why and what to do; never a traceback."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.disks import mounted
from tests.support.project import environment, make_project, snakemake, studyc
from tests.support.studies import BASIC

pytestmark = pytest.mark.xdist_group("workflow")


def test_no_command_shows_a_traceback_where_results_cannot_be_written(tmp_path: Path) -> None:
    project = make_project(tmp_path / "project", {"study.yaml": BASIC})
    with mounted(project / "results", "ro"):
        for shown in (
            studyc(project, "run", "specs/study.yaml", check=False),
            studyc(project, "report", "specs/study.yaml", check=False),
            snakemake(project, "--cores", "1", study="specs/study.yaml", check=False),
        ):
            assert re.search(r"results/\w+: Read-only file system\n    Let this user write there", shown)
            assert "Traceback" not in shown


def test_the_end_of_a_run_shows_the_remedy_of_what_failed(tmp_path: Path) -> None:
    text = BASIC.replace("[deduplicate]", "[deduplicate, {max_chars: 3}]")
    project = make_project(tmp_path / "a project", {"my study.yaml": text})
    where = ("specs/my study.yaml", "--results", str(tmp_path / "other results"))
    shown = studyc(project, "run", *where, check=False)
    status = studyc(project, "status", *where, check=False)
    for told_there in (shown, status):
        assert "filter max_chars leaves nothing of 300 rows" in told_there
        assert "Loosen it." in told_there
        assert "Traceback" not in told_there
    alone = next(line.split("alone: ")[1] for line in shown.splitlines() if "alone: " in line)
    again = subprocess.run(
        f"{Path(sys.executable).parent}/{alone}",
        shell=True, cwd=project, env=environment(), capture_output=True, text=True,
    )  # fmt: skip
    assert "Loosen it." in again.stderr


@pytest.mark.parametrize(
    ("number", "told_at_once"), [(signal.SIGTERM, "asked to end"), (signal.SIGINT, "interrupted")]
)
def test_a_run_that_is_told_to_end_says_what_it_waits_for(
    number: int, told_at_once: str, tmp_path: Path
) -> None:
    project = make_project(tmp_path / "project", {"study.yaml": BASIC})
    run = subprocess.Popen(
        [sys.executable, "-m", "pipeline", "run", "specs/study.yaml"],
        cwd=project, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        start_new_session=True,
    )  # fmt: skip
    while not list((project / "results").glob("source/*/work/job.json")):
        assert run.poll() is None
        time.sleep(0.1)
    os.killpg(run.pid, number) if number == signal.SIGINT else run.send_signal(number)
    shown = run.communicate(timeout=120)[0]
    assert run.returncode == 3
    assert told_at_once in shown and "run again to resume" in shown
    assert "Traceback" not in shown
    done = list((project / "results").glob("source/*/record.json"))
    assert done if number == signal.SIGTERM else "stopped by SIGINT" in shown, shown


def test_a_quiet_run_waits_for_what_snakemake_ends_and_says_what_failed(tmp_path: Path) -> None:
    project = make_project(tmp_path / "project", {"study.yaml": BASIC})
    run = subprocess.Popen(
        [sys.executable, "-m", "pipeline", "run", "specs/study.yaml", "--quiet"],
        cwd=project, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    while not list((project / "results").glob("source/*/work/job.json")):
        assert run.poll() is None
        time.sleep(0.1)
    run.send_signal(signal.SIGINT)
    shown = run.communicate(timeout=120)[0]
    assert run.returncode == 3
    assert "run again to resume" in shown
    assert "Traceback" not in shown.split("run again to resume")[1]
    assert list((project / "results").glob("source/*/record.json"))  # what ran had its time to end
