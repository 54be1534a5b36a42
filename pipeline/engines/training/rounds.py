"""How one round of generation in RL is cut into passes of the processes, and which cuts are refused."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.engines.training.arguments import split_batch
from pipeline.errors import InputError
from pipeline.stages.rl import RlConfig


@dataclass(frozen=True)
class RoundSplit:
    """How one round of generation is cut into passes.

    A round holds `prompts` distinct problems; each process takes `micro_batch` rollouts per pass,
    `accumulation` passes make one update, `passes` passes use the round up once, and `cycle` updates
    (passes over it counted) use it up wholly.
    """

    micro_batch: int
    accumulation: int
    passes: int
    prompts: int
    cycle: int


def split_rounds(config: RlConfig, processes: int) -> RoundSplit:
    """One update takes prompts_per_step x rollouts completions, over all processes; refuses uneven splits."""
    rollouts = config.prompts_per_step * config.rollouts
    micro_batch, accumulation = split_batch(rollouts, config.loss_batch or config.micro_batch)
    if config.loss_batch is not None and micro_batch != config.loss_batch:
        raise InputError(
            f"loss_batch {config.loss_batch} is more than the {micro_batch} rollouts that each of {processes} processes "
            "takes per update",
            "Train on fewer GPUs, or raise prompts_per_step.",
        )
    updates = config.updates_per_generation
    return RoundSplit(
        micro_batch=micro_batch,
        accumulation=accumulation,
        passes=accumulation * updates,
        prompts=config.prompts_per_step * updates,
        cycle=updates * config.iterations,
    )
