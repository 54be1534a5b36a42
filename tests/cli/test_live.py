"""Progress can be read on any terminal: narrow ones, without colours, with wide characters, dumb ones, pipes."""

from __future__ import annotations

import io
import json
import os
import pty
import re
import select
import subprocess
import sys
from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.console import Console

from pipeline.cli.progress import Live
from tests.support.project import environment, make_project
from tests.support.studies import BASIC

ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
FAILING = BASIC.replace("[deduplicate]", "[deduplicate, {max_chars: 3}]")


@pytest.mark.parametrize("width", [200, 100, 80, 60, 40])
@pytest.mark.parametrize("no_color", [False, True])
def test_counts_are_whole_and_lines_fit_at_every_width(width: int, no_color: bool, tmp_path: Path) -> None:
    for name, progress in (("a", {"done": 1200, "total": 1_234_567, "unit": "rows"}), ("b", None)):
        (tmp_path / name / "work").mkdir(parents=True)
        if progress:
            (tmp_path / name / "work" / "progress.json").write_text(json.dumps(progress))
    console = Console(force_terminal=True, width=width, file=io.StringIO(), no_color=no_color)
    live = Live(console)
    running = [
        ("rl         model=qwen2.5-1.5b-instruct sft=long_cot_64k rl=plp · seed 1", tmp_path / "a"),
        ("sample     模型=通义千问 数据=长链推理长链推理 [a-b] · seed 1", tmp_path / "b"),
    ]
    live.show(107, 2040, running)
    shown = console.render_lines(live.progress.get_renderable(), console.options)
    live.close()
    lines = ["".join(segment.text for segment in line) for line in shown]
    assert len(lines) == 3
    assert all(cell_len(line) <= width for line in lines)
    assert "107/2040" in lines[0]
    assert "1,200/1,234,567 rows" in lines[1] and lines[1].startswith("rl")
    assert "starting" in lines[2] and lines[2].startswith("sample")


def test_a_job_that_ended_leaves_the_display(tmp_path: Path) -> None:
    live = Live(Console(force_terminal=True, width=80, file=io.StringIO()))
    live.show(0, 2, [("base       tiny", tmp_path)])
    live.show(1, 2, [])
    live.close()
    assert [task.fields["count"] for task in live.progress.tasks] == ["1/2"]


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


def test_an_output_without_our_signs_gets_plain_ones(tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_text(BASIC)
    shown = subprocess.run(
        [sys.executable, "-m", "pipeline", "status", "study.yaml"],
        cwd=tmp_path, env={**environment(), "PYTHONIOENCODING": "ascii"}, capture_output=True, text=True,
    )  # fmt: skip
    assert shown.stderr == ""
    assert "# done  > running  x failed  . waiting" in shown.stdout
