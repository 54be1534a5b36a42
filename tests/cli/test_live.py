"""Progress can be read on any terminal: narrow ones, without colours, with wide characters, dumb ones, pipes."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.console import Console

from pipeline.cli.progress import Live
from pipeline.store.progress import publish_progress
from tests.support.project import environment
from tests.support.studies import BASIC


@pytest.mark.parametrize("width", [200, 100, 80, 60, 40])
@pytest.mark.parametrize("no_color", [False, True])
def test_counts_are_whole_and_lines_fit_at_every_width(width: int, no_color: bool, tmp_path: Path) -> None:
    publish_progress(tmp_path / "a", 1200, 1_234_567, "rows")
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


def test_an_output_without_our_signs_gets_plain_ones(tmp_path: Path) -> None:
    (tmp_path / "results").mkdir()
    (tmp_path / "study.yaml").write_text(BASIC)
    shown = subprocess.run(
        [sys.executable, "-m", "pipeline", "status", "study.yaml"],
        cwd=tmp_path, env={**environment(), "PYTHONIOENCODING": "ascii"}, capture_output=True, text=True,
    )  # fmt: skip
    assert shown.stderr == ""
    assert "# done  > running  x failed  . waiting" in shown.stdout
