"""What a run shows on a dumb terminal, on a clever one, and where nobody reads."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import sys
from pathlib import Path

from tests.support.project import environment, make_project
from tests.support.studies import BASIC

ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
FAILING = BASIC.replace("[deduplicate]", "[deduplicate, {max_chars: 3}]")


def on_a_terminal(project: Path, **variables: str) -> str:
    """What `studyc run` writes to a terminal."""
    ours, theirs = pty.openpty()
    run = subprocess.Popen(
        [sys.executable, "-m", "pipeline", "run", "specs/study.yaml"],
        cwd=project, env={**environment(), **variables}, stdout=theirs, stderr=theirs,
    )  # fmt: skip
    os.close(theirs)
    written = b""
    while select.select([ours], [], [], 120)[0]:
        try:
            written += os.read(ours, 1 << 16)
        except OSError:  # the other end is closed
            break
    run.wait(timeout=10)
    return written.decode()


def test_a_dumb_terminal_gets_lines_and_a_clever_one_bars(tmp_path: Path) -> None:
    dumb = on_a_terminal(make_project(tmp_path / "dumb", {"study.yaml": FAILING}), TERM="dumb")
    assert not ESCAPES.search(dumb)
    assert re.search(r"\[\d/\d+\] \d:\d\d  source +source", dumb)
    clever = on_a_terminal(make_project(tmp_path / "clever", {"study.yaml": FAILING}), TERM="xterm")
    assert ESCAPES.search(clever)
    assert re.search(r"\[\d/\d+\] \d:\d\d  source +source", ESCAPES.sub("", clever))
    assert "Loosen it." in dumb and "Loosen it." in clever


def test_a_run_goes_on_when_nobody_reads_any_more(tmp_path: Path) -> None:
    project = make_project(tmp_path / "project", {"study.yaml": FAILING})
    run = subprocess.Popen(
        [sys.executable, "-m", "pipeline", "run", "specs/study.yaml"],
        cwd=project, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    run.stdout.readline()
    run.stdout.close()
    assert run.wait(timeout=120) == 3
    said = run.stderr.read().decode()
    assert "Loosen it." in said and "Traceback" not in said and "BrokenPipe" not in said
