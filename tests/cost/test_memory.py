"""Peak memory against peaks that others measured."""

from __future__ import annotations

import pytest

from pipeline import gpus
from pipeline.cost.memory import Held, predict_peak
from pipeline.cost.shapes import settle_shape
from pipeline.gpus import GIB

PACKED = {"weights": "bf16", "tokens": 2 * 4_096}
TORCHTUNE = {
    "packed": (60.0, PACKED),
    "compiled": (51.0, {**PACKED, "is_eager": False}),
    "chunked loss": (42.9, {**PACKED, "is_eager": False, "loss": "chunked"}),
    "recomputed": (24.9, {**PACKED, "is_eager": False, "loss": "chunked", "is_recomputed": True}),
    "padded": (25.5, {"weights": "bf16", "tokens": 2 * 200}),
}
"""Llama-3.2-3B on one A100, bf16, AdamW (pytorch/torchtune README): GiB."""


@pytest.mark.parametrize("name", TORCHTUNE)
def test_published_peaks_of_full_fine_tuning_are_met_within_eleven_percent(name: str) -> None:
    published, held = TORCHTUNE[name]
    found = predict_peak(Held(settle_shape("llama-3.2-3b"), **held)).total / GIB
    assert found == pytest.approx(published, rel=0.11)


def test_long_sequences_of_a_large_vocabulary_peak_at_their_logits() -> None:
    held = Held(settle_shape("qwen2.5-3b"), tokens=16_384, gpus=8, sharding="zero3", is_recomputed=True)
    peak = predict_peak(held)
    assert peak.part == "logits" and 29 < peak.logits / GIB < 31.5


def test_fourteen_billion_fit_eight_h100_with_zero3_and_not_with_zero2() -> None:
    shape, h100 = settle_shape("qwen2.5-14b"), gpus.get("H100")
    fully = predict_peak(Held(shape, 16_384, 8, "zero3", is_recomputed=True))
    partly = predict_peak(Held(shape, 16_384, 8, "zero2", is_recomputed=True))
    assert fully.verdict(h100) in ("fits", "tight") and partly.verdict(h100) == "refused"


def test_a_larger_pass_never_needs_less() -> None:
    shape = settle_shape("qwen2.5-1.5b")
    totals = [predict_peak(Held(shape, tokens)).total for tokens in (512, 2_048, 8_192, 32_768)]
    assert totals == sorted(totals)
