"""What reinforcement learning costs: generation, old and reference log-probabilities, the update, weight sync, rewards.

One round of `prompts` × `rollouts` responses (docs/cost.md):

    step = generation + old (several updates per round, or importance sampling) + reference (with KL) + update
         + weight sync (4 s + 1 s per 10⁹ parameters) + rewards (4 ms per answer, serial)

Rollouts are packed (verl, ×1.05), padded to the longest of their pass (OpenRLHF), or to the longest of the whole round
(TRL: every pass is as wide as the one rollout that was cut). A run's total is not steps × seconds: logs show ×1.05–2.0
of saves, tests and restarts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pipeline.cost.decoding import Engine, rollout_seconds
from pipeline.cost.estimate import Assumed, Prior
from pipeline.cost.lengths import Lengths
from pipeline.cost.training import Training, exposed_seconds, pass_seconds

OVERHEAD = Prior(1.05, 1.35, 2.0)
UNMODELLED = Prior.within(1.0, 1.9)
PACKED = 1.05
Padding = Literal["packed", "pass", "round"]
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
    padding: Padding = "pass"
    has_reference: bool = False
    has_old: bool = True
    is_overlapped: bool = False
    iterations: int = 1

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
        learned = self.iterations * self._pass(assumed, responses, is_forward=False)
        checked = (self.has_old + self.has_reference) * self._pass(assumed, responses, is_forward=True)
        sync = SYNC_SECONDS + SYNC_PER_PARAMETER * self.training.shape.parameters
        trained = learned + checked + sync + REWARD_SECONDS * responses
        seconds = max(generated, trained) if self.is_overlapped else generated + trained
        return seconds * assumed("unmodelled rl", UNMODELLED)

    def _pass(self, assumed: Assumed, responses: float, *, is_forward: bool) -> float:
        """Seconds in which all devices pass all responses once."""
        training, lengths = self.training, self.lengths
        per_pass = min(self.micro_batch, max(1.0, responses / training.gpus))
        passes = max(1.0, responses / (training.gpus * per_pass))
        each = self.prompt_tokens + self._width(per_pass, responses)
        varied = lengths.second_moment / lengths.mean**2 if self.padding == "packed" else 1.0
        busy = pass_seconds(
            training, assumed, per_pass * each, per_pass * each**2 * varied, is_forward=is_forward
        )
        gathered = exposed_seconds(training, assumed, busy, is_update=False) * (1 / 3 if is_forward else 1)
        reduced = 0.0 if is_forward else exposed_seconds(training, assumed, busy, is_update=True)
        return passes * (busy + gathered) + reduced

    def _width(self, per_pass: float, responses: float) -> float:
        """Response tokens that one response takes in a pass, padding included."""
        if self.padding == "packed":
            return self.lengths.mean * PACKED
        return self.lengths.longest_of(per_pass if self.padding == "pass" else responses)

    def gpu_seconds(self, assumed: Assumed) -> float:
        """Device-seconds of the whole run."""
        return self.rounds * self.step_seconds(assumed) * self.devices * assumed("overhead rl", OVERHEAD)
