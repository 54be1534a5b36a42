"""Jobs of stage judge over small inputs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl

from pipeline.stages.judge import JudgeConfig
from pipeline.store.job import Job

QUICK = {"model": "judge", "engine": "openai", "judge": "reflection", "backoff_seconds": 0.01, "parallel": 4}


def write_completions(folder: Path, n: int, samples: int = 2) -> Path:
    """n problems p000 …, each with some responses whose texts name problem and sample."""
    folder.mkdir(parents=True, exist_ok=True)
    names = [f"p{i:03d}" for i in range(n) for _ in range(samples)]
    index = list(range(samples)) * n
    frame = pl.DataFrame(
        {
            "problem_id": names,
            "sample_index": index,
            "problem": [f"What is {name}?" for name in names],
            "response": [f"<{name}/{k}> is 1." for name, k in zip(names, index, strict=True)],
        }
    )
    frame.write_parquet(folder / "completions.parquet")
    return folder


def make_job(tmp_path: Path, url: str, *, n: int = 4, samples: int = 2, **settings: Any) -> Job:
    """A job of the stage; settings override quick ones."""
    config = JudgeConfig.model_validate({**QUICK, "url": url, **settings})
    folder = tmp_path / "job"
    folder.mkdir(parents=True, exist_ok=True)
    inputs = {"completions": (write_completions(tmp_path / "completions", n, samples),)}
    return Job("judge-1", "judge", config, 0, inputs, folder)


def read_verdicts(job: Job) -> pl.DataFrame:
    """The verdicts of a finished job."""
    return pl.read_parquet(job.folder / "verdicts.parquet")
