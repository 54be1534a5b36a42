"""The checkpoint stage's work: publish one step of an RL run.

Reads steps/<n>/model of input `run`, links it as model/; where the run did not save that step, trains up to it from
inputs `policy` and `data`, which leaves what `rl` leaves.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

from pipeline.store.atomic import replaced_folder
from pipeline.store.job import Job


def run(job: Job) -> dict[str, Any]:
    """Leave the policy of the step in job.folder/model/; facts say where it came from."""
    run, step = job.one("run"), job.config.step
    saved = run / "steps" / str(step) / "model"
    if saved.is_dir():
        link_folder(saved, job.folder / "model")
        return {"step": step, "from": "run"}
    from pipeline.engines.training.rl import train

    facts = train(
        job,
        job.config.run,
        policy=job.one("policy") / "model",
        rows=job.one("data") / "rows.parquet",
        save_steps=(),
        stop_after=step,
    )
    return {**facts, "step": step, "from": "trained again"}


def link_folder(source: Path, target: Path) -> None:
    """Hard-link a folder's files (copy them across file systems), whole or not at all."""
    with replaced_folder(target) as scratch:
        for path in sorted(p for p in source.rglob("*") if p.is_file()):
            copy = scratch / path.relative_to(source)
            copy.parent.mkdir(parents=True, exist_ok=True)
            try:
                os.link(path, copy)
            except OSError:
                shutil.copyfile(path, copy)
