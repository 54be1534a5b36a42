"""One step of an RL run as a policy of its own.

A checkpoint is named by the run and the step. Where the run published the step, its weights are linked, not
copied; where it did not (the step was asked for after the run had ended), the run is trained again up
to that step, under the same schedule, without touching what it made.
"""

from __future__ import annotations

from typing import Any

from pipeline.fingerprint import Config as BaseConfig
from pipeline.fingerprint import content
from pipeline.stages.rl import RlConfig
from pipeline.store.job import Job

NAME = "checkpoint"
VERSION = 1
PRODUCES = "policy"


class CheckpointConfig(BaseConfig):
    """Which step of which run."""

    step: int = content(describe="Optimiser updates done.", ge=1)
    run: RlConfig = content(describe="The run's own configuration.")


Config = CheckpointConfig


def of_run(run: RlConfig, step: int) -> CheckpointConfig:
    """The checkpoint of a run after a step."""
    return CheckpointConfig(step=step, run=run)


def run(job: Job) -> dict[str, Any]:
    """Publish steps/<n>/model of input `run` as model/, or train up to the step if it is not there."""
    from pipeline.engines.checkpoint import publish_step

    return publish_step(job)
