"""Seconds of forward and backward passes, of sharding and of waiting for the longest.

One micro-step of T tokens in sequences of s on one device (docs/cost.md derives each term):

    gpu = [c·M·T + a·2L·hk·Σs²/0.75] / (P·e·σ·d/(d+250)) + [m·L·(24d+6f)·2T + 40·V·T] / (0.8·B)

c = 6 (+2 with recomputation; 4 with LoRA; forward only 2), a = 3.5 (+1; forward only 1), m = 3 (+1; forward only 1);
fused kernels: 10d+3f and 16·V·T. The second bracket (norms, rotary, SwiGLU, fp32 cross-entropy) is what makes small
models slow.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pipeline.cost.estimate import Assumed, Prior
from pipeline.cost.lengths import Lengths
from pipeline.cost.shapes import ModelShape
from pipeline.gpus import Gpu

Sharding = Literal["none", "zero1", "zero2", "zero3", "fsdp"]
Stack = Literal["hf", "tuned", "rl"]
FULLY_SHARDED = ("zero3", "fsdp")

STACKS = {"hf": Prior(0.62, 0.82, 1.0), "tuned": Prior(0.85, 1.0, 1.08), "rl": Prior(0.55, 0.80, 1.0)}
HOST = Prior(0.6, 1.0, 2.2)
FABRIC_GB = Prior(25, 100, 300)
OVERLAP, RESIDUE = 0.6, 0.1
HOST_LAYER = 2.6e-3
HOST_GATHER = {"zero3": 5e-3, "fsdp": 1e-3}
OFFLOAD_UPDATES = 1.3e9
"""Parameters per second that DeepSpeed's CPU Adam updates on one node."""
OFFLOAD_LINK = 12e9


@dataclass(frozen=True, slots=True)
class Training:
    """What of a training decides its speed."""

    shape: ModelShape
    gpu: Gpu
    gpus: int
    node_gpus: int
    sharding: Sharding
    stack: Stack
    is_recomputed: bool
    is_fused: bool
    is_lora: bool
    is_offloaded: bool


def pass_seconds(
    training: Training, assumed: Assumed, tokens: float, squares: float, *, is_forward: bool = False
) -> float:
    """Seconds of one micro-step on one device: `tokens` in all, `squares` the sum of squared lengths."""
    shape, gpu = training.shape, training.gpu
    again = training.is_recomputed and not is_forward
    c = 2.0 if is_forward else (4.0 if training.is_lora else 6.0) + 2.0 * again
    a = 1.0 if is_forward else 3.5 + again
    m = 1.0 if is_forward else 3.0 + again
    per_width, per_logit = ((10, 3), 16.0) if training.is_fused else ((24, 6), 40.0)
    if is_forward:
        per_logit /= 3
    efficiency = assumed(f"efficiency {gpu.name}", Prior(*gpu.efficiency))
    stack = assumed(f"stack {training.stack}", STACKS[training.stack])
    rate = gpu.peak_flops * efficiency * stack * shape.width / (shape.width + 250)
    flops = c * shape.multiplied * tokens + a * 2 * shape.layers * shape.heads * squares / 0.75
    moved = m * shape.layers * (per_width[0] * shape.width + per_width[1] * shape.feed_forward) * 2 * tokens
    moved += per_logit * shape.vocabulary * tokens
    busy = flops / rate + moved / (0.8 * gpu.bandwidth)
    floor = (
        shape.layers * (HOST_LAYER + HOST_GATHER.get(training.sharding, 0.0)) * (1 / 3 if is_forward else 1)
    )
    return max(busy, floor * assumed("host", HOST))


def link_rate(training: Training, assumed: Assumed) -> float:
    """Bytes per second at which sharded weights arrive: over the node's links, or the fabric beyond a node.

    Rings of several rails bring each shard into a node once: the node's whole fabric serves one copy of the weights.
    """
    if training.gpus <= training.node_gpus:
        return training.gpu.link
    return min(training.gpu.link, assumed("fabric", FABRIC_GB) * 1e9)


def exposed_seconds(training: Training, assumed: Assumed, busy: float, *, is_update: bool) -> float:
    """Communication that computing does not hide: of one micro-step, or (`is_update`) once per update."""
    n = training.gpus
    if n == 1:
        return 0.0
    is_full = training.sharding in FULLY_SHARDED
    if is_full == is_update:
        return 0.0  # full sharding gathers in every micro-step; the others reduce once per update
    weights = training.shape.parameters * (0.02 if training.is_lora and not is_full else 1.0)
    volume = (3 if is_full else 2) * 2 * weights * (n - 1) / n
    travel = volume / link_rate(training, assumed)
    return max(0.0, travel - OVERLAP * busy) + RESIDUE * travel


def offload_seconds(training: Training) -> float:
    """Seconds per update of an optimiser on the CPU: its own arithmetic, and weights and gradients over PCIe."""
    if not training.is_offloaded:
        return 0.0
    nodes = max(1, training.gpus // training.node_gpus)
    parameters = training.shape.parameters
    return parameters / nodes / OFFLOAD_UPDATES + 4 * parameters / training.gpus / OFFLOAD_LINK


@dataclass(frozen=True, slots=True)
class MicroStep:
    """One device's pass of some sequences, as it is computed and as it is waited for.

    `tokens` and `squares` (sum of squared lengths) are those of the *slowest* device, padding included.
    """

    tokens: float
    squares: float


def slowest_pass(lengths: Lengths, sequences: float, devices: int, *, passes: float) -> MicroStep:
    """What the slowest of `devices` computes in one of its `passes` of `sequences` each.

    Padded: a pass is as wide as its longest sequence; fully sharded passes
    (`passes` = 1) wait for the longest of all devices, others wait once per update, where sums of passes differ less
    (by the square root of their number).
    """
    padded = lengths.longest_of(sequences)
    awaited = lengths.longest_of(sequences * devices)
    wide = padded + (awaited - padded) / max(1.0, passes) ** 0.5
    return MicroStep(sequences * wide, sequences * wide * wide)
