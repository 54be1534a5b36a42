"""Peak memory of one device (docs/cost.md): what is held in the forward pass with its logits, or at the update.

    peak = max(states at the forward + activations + logits, states at the update) + 1 GiB

Logits are often the true peak: 13 bytes × tokens × V with an fp32 cross-entropy (16,384 tokens of a 152k vocabulary:
30 GiB), 3 where the loss is taken in chunks, 0.3 where it is fused with the head.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pipeline.cost.shapes import ModelShape
from pipeline.cost.training import Sharding
from pipeline.gpus import GIB, Gpu

Loss = Literal["full", "chunked", "fused"]
Weights = Literal["mixed", "bf16", "autocast"]
LOGIT_BYTES = {"full": 13.0, "chunked": 3.0, "fused": 0.3}
BASE_BYTES = 1.0 * GIB
LIVE_BYTES = 2e9
"""Parameters that DeepSpeed's ZeRO-3 keeps gathered at once (its default `stage3_max_live_parameters`), in bytes."""
BUCKET_BYTES = 2 * 2 * 5e8
"""ZeRO's reduction and gather buckets (5e8 elements each, bf16)."""
GRAPH_BYTES = 0.9 * GIB
FITS = 1.15
"""`fits` means: the prediction and 15 % more."""


@dataclass(frozen=True, slots=True)
class Peak:
    """Bytes per device: `forward` (states, activations, logits), `update`, and what of the first is what."""

    states_forward: float
    activations: float
    logits: float
    update: float

    @property
    def total(self) -> float:
        """The peak in bytes."""
        return max(self.states_forward + self.activations + self.logits, self.update) + BASE_BYTES

    @property
    def part(self) -> str:
        """What makes the peak, in a word."""
        forward = self.states_forward + self.activations + self.logits
        if self.update >= forward:
            return "optimiser"
        parts = {"states": self.states_forward, "activations": self.activations, "logits": self.logits}
        return max(parts, key=lambda name: parts[name])

    def verdict(self, gpu: Gpu) -> Literal["fits", "tight", "refused"]:
        """Whether it fits on a device: with 15 % to spare, hardly, or not."""
        if self.total * FITS <= gpu.memory_bytes:
            return "fits"
        return "tight" if self.total <= gpu.memory_bytes else "refused"


@dataclass(frozen=True, slots=True)
class Held:
    """What of a training decides its memory. `tokens` of one pass of a device, padding included; `adapter` parameters of LoRA."""

    shape: ModelShape
    tokens: float
    gpus: int = 1
    sharding: Sharding = "none"
    weights: Weights = "mixed"
    loss: Loss = "full"
    is_recomputed: bool = False
    is_eager: bool = True
    is_offloaded: bool = False
    adapter: float = 0.0


def predict_peak(held: Held) -> Peak:
    """The peak of a training step."""
    forward, update = _states(held)
    return Peak(
        forward, _activations(held), LOGIT_BYTES[held.loss] * held.tokens * held.shape.vocabulary, update
    )


def _states(held: Held) -> tuple[float, float]:
    """Bytes of weights, gradients and optimiser at the loss and at the update."""
    parameters, n = held.shape.parameters, held.gpus
    if held.adapter:
        both = 2 * parameters / (n if held.sharding in ("zero3", "fsdp") else 1) + 16 * held.adapter
        return both, both
    if held.weights == "bf16":
        return 6 * parameters, 8 * parameters
    if (
        held.sharding == "none"
    ):  # fp32 weights, gradients and two moments; autocast keeps bf16 copies of layers
        return 12 * parameters, 16 * parameters
    if held.sharding == "fsdp":
        layer = (parameters - held.shape.vocabulary * held.shape.width) / held.shape.layers
        gathered = 2 * 2 * layer + 2 * held.shape.vocabulary * held.shape.width
        return 16 * parameters / n + gathered, 16 * parameters / n + gathered
    weights = 2 * parameters / (n if held.sharding == "zero3" else 1)
    gradients = 2 * parameters / (n if held.sharding in ("zero2", "zero3") else 1)
    optimiser = 0.0 if held.is_offloaded else 12 * parameters / n
    live = min(2 * parameters, LIVE_BYTES) if held.sharding == "zero3" else 0.0
    update = weights + gradients + optimiser + BUCKET_BYTES + live
    return update, update


def _activations(held: Held) -> float:
    """Bytes that the backward pass needs of the forward one: 8d + 6hk + 6kv + 8f per token and layer."""
    shape = held.shape
    layer = 8 * shape.width + 6 * shape.heads + 6 * shape.keys + 8 * shape.feed_forward
    layer += 8 * shape.width if held.is_eager else 0
    if held.is_recomputed:
        return held.tokens * (2 * shape.width * shape.layers + layer)
    return held.tokens * layer * shape.layers


def generation_bytes(shape: ModelShape, gpu: Gpu, *, tp: int, share: float) -> float:
    """Bytes that vLLM holds of one device: its share, at least weights and CUDA graphs."""
    return max(share * gpu.memory_bytes, 2 * shape.parameters / tp) + GRAPH_BYTES
