"""What a fine-tuning costs: forward and backward passes, the wait for the longest, sharding, offload, saves.

    hours = Σ updates · (micro-steps of the slowest device + exposed communication + offload) · overhead

Formulas: pipeline/cost/training.py and docs/cost.md. `overhead` is what logs show beside the updates (start, saves,
restarts: ×1.00–1.4).
"""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.cost.estimate import Assumed, Prior
from pipeline.cost.lengths import Lengths
from pipeline.cost.training import (
    FULLY_SHARDED,
    MicroStep,
    Training,
    exposed_seconds,
    offload_seconds,
    pass_seconds,
    slowest_pass,
)

OVERHEAD = Prior(1.0, 1.08, 1.4)
UNMODELLED = Prior.within(1.0, 1.7)


@dataclass(frozen=True, slots=True)
class Sft:
    """A fine-tuning: `sequences` in all (rows × epochs) in updates of `batch`, `micro_batch` per device and pass.

    Packed (`packed_tokens` per sequence): a pass holds `micro_batch` full ones of them, whose rows do not see each other.
    """

    training: Training
    sequences: float
    batch: float
    micro_batch: float
    lengths: Lengths
    packed_tokens: float = 0.0

    def gpu_seconds(self, assumed: Assumed, *, is_whole_run: bool = True) -> float:
        """Device-seconds of the run; without `is_whole_run` of its updates alone, as throughput is reported."""
        training = self.training
        passes = max(1.0, self.batch / (training.gpus * self.micro_batch))
        waits = 1.0 if training.sharding in FULLY_SHARDED else passes
        if self.packed_tokens:
            held = self.micro_batch * self.packed_tokens
            slowest = MicroStep(held, held * self.lengths.second_moment / self.lengths.mean)
        else:
            slowest = slowest_pass(self.lengths, self.micro_batch, training.gpus, passes=waits)
        busy = pass_seconds(training, assumed, slowest.tokens, slowest.squares)
        each = busy + exposed_seconds(training, assumed, busy, is_update=False)
        update = (
            passes * each
            + exposed_seconds(training, assumed, busy, is_update=True)
            + offload_seconds(training)
        )
        updates = (
            self.sequences
            / self.batch
            * (self.lengths.mean / self.packed_tokens if self.packed_tokens else 1.0)
        )
        seconds = updates * update * training.gpus
        seconds *= assumed("unmodelled sft", UNMODELLED)
        return seconds * assumed("overhead sft", OVERHEAD) if is_whole_run else seconds
