"""The base stage's work: obtain the policy from the hub, from a folder, or by making a tiny one."""

from __future__ import annotations

from typing import Any

from pipeline.stages.base import StartConfig
from pipeline.store.job import Job


def run(job: Job) -> dict[str, Any]:
    """Leave model/, and log.parquet of a tiny model that was trained on the inputs `data`."""
    config: StartConfig = job.config
    if config.tiny is not None:
        from pipeline.engines.training.pretrain import make_policy  # fetching and copying need no torch

        return make_policy(job, config.tiny, data=job.inputs.get("data", ()))
    from pipeline.engines.policy.fetch import copy_policy, fetch_policy

    if config.hub is not None:
        return fetch_policy(job, config.hub)
    assert config.local is not None, "the configuration has exactly one of hub, local, tiny"
    return copy_policy(job, config.local)
