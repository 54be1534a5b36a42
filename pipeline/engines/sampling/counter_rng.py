"""A counter-based RNG: one uniform number per (seed, step) without a state to keep, and exact sampling from it.

Guaranteed: token t of a response depends on its own logits, its own seed and t, on nothing else.
"""

from __future__ import annotations

import torch


def counter_uniforms(seeds: torch.Tensor, steps: torch.Tensor) -> torch.Tensor:
    """Uniform numbers in [0, 1) with 52 bits, one per (seed, step): SplitMix64 (Steele et al., 2014).

    `seeds` and `steps` are int64 of one shape; int64 products wrap, which is the arithmetic modulo 2^64.
    """
    z = seeds + (steps + 1) * _signed(0x9E3779B97F4A7C15)
    z = (z ^ _shift(z, 30)) * _signed(0xBF58476D1CE4E5B9)
    z = (z ^ _shift(z, 27)) * _signed(0x94D049BB133111EB)
    return _shift(z ^ _shift(z, 31), 12).double() * 2.0**-52


def _signed(constant: int) -> int:
    return constant - 2**64 if constant >= 2**63 else constant


def _shift(z: torch.Tensor, bits: int) -> torch.Tensor:
    """Logical right shift of int64 (torch shifts arithmetically)."""
    return (z >> bits) & ((1 << (64 - bits)) - 1)


def keep_nucleus(probabilities: torch.Tensor, top_p: float) -> torch.Tensor:
    """Zero every token outside the nucleus: the most likely tokens whose mass first reaches top_p
    (Holtzman et al., arXiv:1904.09751). Shape [rows, vocabulary]; the rest is not renormalised."""
    width = min(128, probabilities.shape[-1])
    largest = probabilities.topk(width).values
    if width < probabilities.shape[-1] and bool((largest.sum(-1) < top_p).any()):
        largest = probabilities.sort(descending=True).values
    before = largest.double().cumsum(-1) - largest
    cut = largest.masked_fill(before >= top_p, torch.inf).amin(-1, keepdim=True)
    return probabilities.masked_fill(probabilities < cut, 0.0)


def sample_tokens(
    logits: torch.Tensor, uniforms: torch.Tensor, temperature: float, top_p: float
) -> torch.Tensor:
    """One token per row of logits [rows, vocabulary]: the argmax at temperature 0, else exact sampling."""
    if temperature == 0:
        return logits.argmax(-1)
    probabilities = (logits.float() / temperature).softmax(-1)
    if top_p < 1:
        probabilities = keep_nucleus(probabilities, top_p)
    mass = probabilities.double().cumsum(-1)
    return torch.searchsorted(mass, uniforms[:, None] * mass[:, -1:], right=True).squeeze(-1)
