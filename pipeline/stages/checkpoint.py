"""One step of an RL run as a policy of its own.

A checkpoint is named by the run and the step. Where the run published the step, its weights are linked, not
copied; where it did not (the step was asked for after the run had ended), the run is trained again up
to that step, under the same schedule, without touching what it made.
"""

from __future__ import annotations

from pipeline.fingerprint import Config, content
from pipeline.stages import Stage
from pipeline.stages.rl import RlConfig


class CheckpointConfig(Config):
    """Which step of which run."""

    step: int = content(describe="Optimiser updates done.", ge=1)
    run: RlConfig = content(describe="The run's own configuration.")


def of_run(run: RlConfig, step: int) -> CheckpointConfig:
    """The checkpoint of a run after a step."""
    return CheckpointConfig(step=step, run=run)


STAGE = Stage(
    name="checkpoint",
    version=1,
    config=CheckpointConfig,
    produces="policy",
    follows="rl",
    summary="Publish one step of an RL run as a policy.",
)
