"""Shapes of models: sizes as their cards print them, folders read by their config.json, unknown names refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipeline.cost.shapes import find_shape, read_shape, settle_shape, shape_of_size
from pipeline.errors import InputError

CARDS = {
    "Qwen/Qwen2.5-0.5B-Instruct": 0.494e9,
    "Qwen/Qwen2.5-1.5B-Instruct": 1.54e9,
    "Qwen/Qwen2.5-3B-Instruct": 3.09e9,
    "Qwen/Qwen2.5-7B-Instruct": 7.62e9,
    "Qwen/Qwen2.5-14B-Instruct": 14.77e9,
    "deepseek-ai/DeepSeek-R1-Distill-Qwen-1.5B": 1.78e9,
    "meta-llama/Llama-3.2-1B-Instruct": 1.236e9,
    "meta-llama/Llama-3.2-3B-Instruct": 3.21e9,
    "meta-llama/Llama-3.1-8B-Instruct": 8.03e9,
    "google/gemma-3-1b-it": 1.0e9,
    "HuggingFaceTB/SmolLM2-135M-Instruct": 0.1345e9,
}
"""Parameters as the models' cards print them."""


@pytest.mark.parametrize("name", CARDS)
def test_a_shape_has_its_cards_parameters(name: str) -> None:
    assert find_shape(name).parameters == pytest.approx(CARDS[name], rel=0.012)


def test_a_local_model_is_read_from_its_configuration(tmp_path: Path) -> None:
    config = {"hidden_size": 896, "num_hidden_layers": 24, "num_attention_heads": 14, "num_key_value_heads": 2,
              "intermediate_size": 4864, "vocab_size": 151_936, "tie_word_embeddings": True}  # fmt: skip
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert read_shape(tmp_path / "config.json") == find_shape("Qwen2.5-0.5B")
    (tmp_path / "config.json").write_text(json.dumps({"hidden_size": 8}))
    with pytest.raises(InputError, match="num_hidden_layers is missing"):
        read_shape(tmp_path / "config.json")


def test_an_unknown_model_is_asked_for_by_its_size() -> None:
    with pytest.raises(InputError) as refused:
        settle_shape("acme/Nobody-9B")
    assert "Nobody-9B" in refused.value.what and "number of parameters" in refused.value.remedy
    assert settle_shape(9e9).parameters == 9e9


@pytest.mark.parametrize("size", [2e8, 1.3e9, 7e9, 70e9])
def test_a_bare_size_becomes_a_usual_decoder(size: float) -> None:
    shape = shape_of_size(size)
    counted = shape.layers * (
        2 * shape.width * (shape.heads + shape.keys) + 3 * shape.width * shape.feed_forward
    )
    counted += shape.vocabulary * shape.width * (1 if shape.is_tied else 2)
    assert counted == pytest.approx(size, rel=0.15)
