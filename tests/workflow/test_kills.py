"""Every stage of a finished study, killed in the middle: it resumes, and what it makes is the same."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipeline.plan.frozen import read_frozen
from pipeline.store.record import read_record, verify
from tests.support.project import environment

pytestmark = pytest.mark.xdist_group("workflow")


CONTENT = {
    "source": "rows.parquet", "filter": "rows.parquet", "mix": "rows.parquet", "subset": "rows.parquet",
    "base": "model/model.safetensors", "sft": "model/model.safetensors", "rl": "model/model.safetensors",
    "checkpoint": "model/model.safetensors", "sample": "completions.parquet", "score": "scores.parquet",
    "analyse": "measures.parquet", "report": "numbers.csv",
}  # fmt: skip


KILLS = [(stage, 0.35) for stage in CONTENT] + [(stage, 0.85) for stage in ("base", "sft", "rl", "sample")]
"""Early for every stage; late as well for those that have working files to resume from."""


@pytest.mark.parametrize(("stage", "share"), KILLS)
def test_a_stage_killed_in_the_middle_resumes_with_the_same_result(
    stage: str, share: float, finished, tmp_path: Path
) -> None:
    """kill -9 of the job and its stage at a share of its usual time; the next run gives the same content."""
    original, _ = finished
    shutil.copytree(original / "results", tmp_path / "results", copy_function=os.link, symlinks=True)
    plan_file = next((tmp_path / "results" / "plans").glob("*.json"))
    plan = read_frozen(plan_file)
    key = next(key for key in plan.artifacts if plan.stage(key) == stage)
    folder = tmp_path / "results" / stage / key
    record = read_record(folder)
    expected = content_of(folder / CONTENT[stage])
    shutil.rmtree(folder)
    command = [
        sys.executable,
        "-m",
        "pipeline.backend.job_process",
        str(plan_file.relative_to(tmp_path)),
        key,
    ]
    options = {"cwd": tmp_path, "env": environment(), "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    job = subprocess.Popen(command, start_new_session=True, **options)
    time.sleep(max(0.3, record["seconds"] * share))
    os.killpg(job.pid, signal.SIGKILL)
    job.communicate()
    again = subprocess.run(command, timeout=300, **options)
    assert again.returncode == 0, again.stdout.decode()
    assert verify(folder) == []
    assert content_of(folder / CONTENT[stage]) == expected


def content_of(path: Path):
    """What a file says, whatever its bytes: rows of a table, else the bytes."""
    if path.suffix == ".parquet":
        import polars as pl

        return pl.read_parquet(path).to_dicts()
    return path.read_bytes()
