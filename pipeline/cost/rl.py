"""What reinforcement learning costs: generation, old and reference log-probabilities, the update, weight sync, rewards.

One round of `prompts` × `rollouts` responses (docs/cost.md):

    step = generation + old (several updates per round, or importance sampling) + reference (with KL) + update
         + weight sync (4 s + 1 s per 10⁹ parameters) + rewards (4 ms per answer, serial)

Padding ×1.25 where rollouts are padded to the longest of a pass (TRL), ×1.05 where they are packed (verl). A run's
total is not steps × seconds: logs show ×1.05–2.0 of saves, tests and restarts.
"""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.cost.decoding import Engine, rollout_seconds
from pipeline.cost.estimate import Assumed, Prior
from pipeline.cost.lengths import Lengths
from pipeline.cost.training import Training, exposed_seconds, pass_seconds

OVERHEAD = Prior(1.05, 1.35, 2.0)
UNMODELLED = Prior.within(1.0, 1.9)
PADDED, PACKED = 1.25, 1.05
SYNC_SECONDS, SYNC_PER_PARAMETER = 4.0, 1e-9
REWARD_SECONDS = 4e-3


@dataclass(frozen=True, slots=True)
class Rl:
    """A run of `rounds` rounds; generation on the training's own devices or, with `generators`, on others beside them."""

    training: Training
    engine: Engine
    rounds: float
    prompts: float
    rollouts: float
    prompt_tokens: float
    lengths: Lengths
    generators: int = 0
    micro_batch: float = 4
    is_padded: bool = True
    has_reference: bool = False
    has_old: bool = True
    is_overlapped: bool = False

    @property
    def devices(self) -> int:
        """All devices that the run holds."""
        return self.training.gpus + self.generators

    def step_seconds(self, assumed: Assumed) -> float:
        """Wall-clock seconds of one round."""
        responses = self.prompts * self.rollouts
        sampling_devices = self.generators or self.training.gpus
        engines = max(1.0, sampling_devices / self.engine.tp)
        generated = rollout_seconds(
            self.engine,
            assumed,
            responses / engines,
            self.prompt_tokens,
            self.lengths,
            all_sequences=responses,
        )
        learned = self._pass(assumed, responses, is_forward=False)
        checked = (self.has_old + self.has_reference) * self._pass(assumed, responses, is_forward=True)
        sync = SYNC_SECONDS + SYNC_PER_PARAMETER * self.training.shape.parameters
        trained = learned + checked + sync + REWARD_SECONDS * responses
        seconds = max(generated, trained) if self.is_overlapped else generated + trained
        return seconds * assumed("unmodelled rl", UNMODELLED)

    def _pass(self, assumed: Assumed, responses: float, *, is_forward: bool) -> float:
        """Seconds in which all devices pass all responses once."""
        training, lengths = self.training, self.lengths
        padding = PADDED if self.is_padded else PACKED
        each = (self.prompt_tokens + lengths.mean) * padding
        per_pass = min(self.micro_batch, max(1.0, responses / training.gpus))
        passes = max(1.0, responses / (training.gpus * per_pass))
        squares = (
            per_pass
            * ((self.prompt_tokens + lengths.mean) ** 2 * (lengths.second_moment / lengths.mean**2))
            * padding
        )
        busy = pass_seconds(training, assumed, per_pass * each, squares, is_forward=is_forward)
        gathered = exposed_seconds(training, assumed, busy, is_update=False) * (1 / 3 if is_forward else 1)
        return passes * (busy + gathered) + (
            0 if is_forward else exposed_seconds(training, assumed, busy, is_update=True)
        )

    def gpu_seconds(self, assumed: Assumed) -> float:
        """Device-seconds of the whole run."""
        return self.rounds * self.step_seconds(assumed) * self.devices * assumed("overhead rl", OVERHEAD)
