"""The rl stage's work: train a policy with TRL's GRPOTrainer or RLOOTrainer.

Reads the model of input `policy` and the rows of `data`; leaves model/, log.parquet, rollouts.parquet, and
steps/<n>/model/ for each checkpoint that the plan asks for.
"""

from __future__ import annotations

from typing import Any

from pipeline.engines.training.rl import train
from pipeline.store.job import Job


def run(job: Job) -> dict[str, Any]:
    """Train on inputs `policy` and `data`; leaves model/, steps/<n>/model/ and log.parquet."""
    return train(
        job,
        job.config,
        policy=job.one("policy") / "model",
        rows=job.one("data") / "rows.parquet",
        save_steps=tuple(job.hints.get("checkpoints", ())),
    )
