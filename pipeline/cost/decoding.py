"""Seconds of sampling: one decode step, then a batch of responses whose longest decides when it ends.

One step of b sequences at context x on tp devices (docs/cost.md):

    max((2W + b·x·kvb)/(tp·B·r), 2M·b/(tp·P·0.5)) + 24·b·V/(0.6·B) + h0 + h1·b + all-reduce

W the weights read, kvb the bytes of keys and values per position, r the share of the memory's bandwidth that kernels
reach, h0 and h1 what the host takes per step and per sequence (vLLM V1: 2.5 ms, 20 µs; eager + 0.35 ms per layer).
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

from pipeline.cost.estimate import Assumed, Prior
from pipeline.cost.lengths import Lengths
from pipeline.cost.shapes import ModelShape
from pipeline.cost.training import HOST
from pipeline.gpus import GIB, Gpu

BANDWIDTH = Prior(0.55, 0.70, 0.82)
HOST_STEP, HOST_SEQUENCE, EAGER_LAYER = 2.5e-3, 20e-6, 0.35e-3
REDUCE_LATENCY = 12e-6
PREFILL_RATE = 0.5
ENGINE_OVERHEAD = 2.5 * GIB
_POINTS = 20


@dataclass(frozen=True, slots=True)
class Engine:
    """One copy of a policy that samples: on `tp` devices, with a share of their memory."""

    shape: ModelShape
    gpu: Gpu
    tp: int = 1
    memory_share: float = 0.9
    max_sequences: int = 256
    is_eager: bool = False

    def concurrency(self, sequences: float, prompt: float, mean: float) -> float:
        """Sequences that are decoded at once: as many as asked, allowed, and as keys and values have room for."""
        room = (
            self.memory_share * self.gpu.memory_bytes * self.tp
            - 2 * self.shape.parameters
            - ENGINE_OVERHEAD * self.tp
        )
        held = self.shape.cache_bytes * (prompt + 0.65 * mean)
        return max(1.0, min(sequences, self.max_sequences, room / held))

    def step_seconds(self, sequences: float, context: float, *, reach: float, host_factor: float) -> float:
        """One token of each of so many sequences at a mean context; kernels `reach` so much of the bandwidth."""
        shape, gpu, tp = self.shape, self.gpu, self.tp
        read = (2 * self._weights_read(sequences) + sequences * context * shape.cache_bytes) / (
            tp * gpu.bandwidth * reach
        )
        computed = 2 * shape.multiplied * sequences / (tp * gpu.peak_flops * 0.5)
        sampled = 24 * sequences * shape.vocabulary / (0.6 * gpu.bandwidth)
        host = HOST_STEP + HOST_SEQUENCE * sequences + (EAGER_LAYER * shape.layers if self.is_eager else 0.0)
        reduced = 0.0
        if tp > 1:
            volume = 2 * shape.layers * sequences * shape.width * 2 * 2 * (tp - 1) / tp
            reduced = 2 * shape.layers * REDUCE_LATENCY + volume / gpu.link
        return max(read, computed) + sampled + host * host_factor + reduced

    def _weights_read(self, sequences: float) -> float:
        """Parameters read per step: all of a dense model; of experts those that some sequence was sent to."""
        shape = self.shape
        if shape.active is None:
            return shape.multiplied
        unread: float = (1 - shape.active / shape.parameters) ** sequences
        return shape.parameters * (1 - unread)

    def prefill_seconds(self, tokens: float) -> float:
        """Reading prompts."""
        return 2 * self.shape.multiplied * tokens / (self.tp * self.gpu.peak_flops * PREFILL_RATE)


def rollout_seconds(
    engine: Engine,
    assumed: Assumed,
    sequences: float,
    prompt: float,
    lengths: Lengths,
    *,
    all_sequences: float,
) -> float:
    """Seconds until the slowest of several engines has answered its `sequences`.

    A steady phase at full concurrency, then a tail of survivors up to the longest of *all* sequences: more devices
    do not shorten a rollout that its tail decides.
    """
    mean = lengths.mean
    at_once = engine.concurrency(sequences, prompt, mean)
    steady = max(0.0, sequences - at_once) * mean
    context = prompt + lengths.second_moment / (2 * mean)
    seconds = engine.prefill_seconds(sequences * prompt)
    step_seconds = functools.partial(
        engine.step_seconds, reach=assumed("decode bandwidth", BANDWIDTH), host_factor=assumed("host", HOST)
    )
    if steady:
        seconds += steady / at_once * step_seconds(at_once, context)
    is_steady = steady > 0
    step, curve = _tail(lengths, round(all_sequences), is_steady)
    for at, share in curve:
        alive = max(1.0, at_once * share)
        seconds += step * step_seconds(alive, context + at / 2 if is_steady else prompt + at)
    return seconds


@functools.lru_cache(maxsize=8192)
def _tail(
    lengths: Lengths, all_sequences: int, is_steady: bool
) -> tuple[float, tuple[tuple[float, float], ...]]:
    """The width of a step and, at each step, the share of sequences that is still decoded."""
    survivors = _residual if is_steady else _fresh
    step = lengths.longest_of(all_sequences) / _POINTS
    return step, tuple(((i + 0.5) * step, survivors(lengths, (i + 0.5) * step)) for i in range(_POINTS))


def _fresh(lengths: Lengths, at: float) -> float:
    return lengths.survival(at)


def _residual(lengths: Lengths, at: float) -> float:
    """Share of sequences met in the middle that go on for longer than `at`: the residual life of the lengths."""
    step = max(1.0, (lengths.limit - at) / 16)
    return min(
        1.0, math.fsum(lengths.survival(at + (i + 0.5) * step) for i in range(16)) * step / lengths.mean
    )
