"""Shapes of models: what a cost depends on. From a local `config.json`, else from a small table, else asked for."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pipeline.errors import InputError, suggest


@dataclass(frozen=True, slots=True)
class ModelShape:
    """A decoder. Widths in numbers: `width` d, `heads` query width hk, `keys` key width kv, `feed_forward` f.

    `parameters` are all, `active` those that one token passes through (mixtures of experts), both with embeddings.
    """

    parameters: float
    layers: int
    width: int
    heads: int
    keys: int
    feed_forward: int
    vocabulary: int
    is_tied: bool
    active: float | None = None

    @property
    def multiplied(self) -> float:
        """Parameters that a token is multiplied with: all but an embedding that is only looked up."""
        passed = self.active if self.active is not None else self.parameters
        return passed if self.is_tied else passed - self.vocabulary * self.width

    @property
    def cache_bytes(self) -> float:
        """Bytes of keys and values per position, in bf16."""
        return 2 * 2 * self.keys * self.layers


def _dense(
    layers: int, width: int, heads: int, keys: int, feed_forward: int, vocabulary: int, *, is_tied: bool
) -> ModelShape:
    """A Llama-like decoder; its parameters are counted (norms and biases are below 0.1 %)."""
    per_layer = 2 * width * heads + 2 * width * keys + 3 * width * feed_forward + 2 * width
    embeddings = vocabulary * width * (1 if is_tied else 2)
    return ModelShape(
        layers * per_layer + embeddings + width, layers, width, heads, keys, feed_forward, vocabulary, is_tied
    )


QWEN = 151_936
TABLE: Mapping[str, ModelShape] = {
    "qwen2.5-0.5b": _dense(24, 896, 896, 128, 4_864, QWEN, is_tied=True),
    "qwen2.5-1.5b": _dense(28, 1_536, 1_536, 256, 8_960, QWEN, is_tied=True),
    "qwen2.5-3b": _dense(36, 2_048, 2_048, 256, 11_008, QWEN, is_tied=True),
    "qwen2.5-7b": _dense(28, 3_584, 3_584, 512, 18_944, 152_064, is_tied=False),
    "qwen2.5-14b": _dense(48, 5_120, 5_120, 1_024, 13_824, 152_064, is_tied=False),
    "qwen2.5-32b": _dense(64, 5_120, 5_120, 1_024, 27_648, 152_064, is_tied=False),
    "r1-distill-qwen-1.5b": _dense(28, 1_536, 1_536, 256, 8_960, QWEN, is_tied=False),
    "deepscaler-1.5b": _dense(28, 1_536, 1_536, 256, 8_960, QWEN, is_tied=False),
    "open-rs": _dense(28, 1_536, 1_536, 256, 8_960, QWEN, is_tied=False),
    "still-3-1.5b": _dense(28, 1_536, 1_536, 256, 8_960, QWEN, is_tied=False),
    "r1-distill-qwen-7b": _dense(28, 3_584, 3_584, 512, 18_944, 152_064, is_tied=False),
    "r1-distill-qwen-32b": _dense(64, 5_120, 5_120, 1_024, 27_648, 152_064, is_tied=False),
    "r1-distill-llama-8b": _dense(32, 4_096, 4_096, 1_024, 14_336, 128_256, is_tied=False),
    "llama-3.2-1b": _dense(16, 2_048, 2_048, 512, 8_192, 128_256, is_tied=True),
    "llama-3.2-3b": _dense(28, 3_072, 3_072, 1_024, 8_192, 128_256, is_tied=True),
    "llama-3.1-8b": _dense(32, 4_096, 4_096, 1_024, 14_336, 128_256, is_tied=False),
    "llama-2-7b": _dense(32, 4_096, 4_096, 4_096, 11_008, 32_000, is_tied=False),
    "mpt-7b": replace(_dense(32, 4_096, 4_096, 4_096, 10_923, 50_432, is_tied=True), parameters=6.7e9),
    "gemma-3-1b": _dense(26, 1_152, 1_024, 256, 6_912, 262_144, is_tied=True),
    "smollm2-135m": _dense(30, 576, 576, 192, 1_536, 49_152, is_tied=True),
    "olmo-2-1b": _dense(16, 2_048, 2_048, 2_048, 8_192, 100_352, is_tied=False),
    "olmo-3-7b": _dense(32, 4_096, 4_096, 4_096, 11_008, 100_352, is_tied=False),
    "qwen3-4b": _dense(36, 2_560, 4_096, 1_024, 9_728, QWEN, is_tied=True),
    "qwen3-8b": _dense(36, 4_096, 4_096, 1_024, 12_288, QWEN, is_tied=False),
    "qwen3-30b-a3b": ModelShape(
        30.5e9, 48, 2_048, 4_096, 512, 6_144, QWEN, False, active=3.3e9
    ),  # 8 of 128 experts of 768
}
"""Shapes by the distinguishing part of a hub name, from the models' `config.json`."""


def find_shape(name: str) -> ModelShape | None:
    """The shape of a model by its hub name, where the table has it: the longest entry that the name contains."""
    plain = name.rsplit("/", 1)[-1].lower().replace("meta-", "").replace("_", "-")
    plain = plain.replace("deepseek-", "").replace("qwen2.5-math-", "qwen2.5-")
    fitting = [entry for entry in TABLE if entry in plain]
    return TABLE[max(fitting, key=len)] if fitting else None


def read_shape(config: Path) -> ModelShape:
    """The shape that a local model's `config.json` describes; InputError where it lacks what is needed."""
    try:
        found: dict[str, Any] = json.loads(config.read_text())
    except (OSError, ValueError) as error:
        raise InputError(f"{config}: {error}", "Name a model folder.") from None
    found = {**found, **(found.get("text_config") or {})}
    try:
        width, layers = int(found["hidden_size"]), int(found["num_hidden_layers"])
        n_heads = int(found["num_attention_heads"])
        vocabulary, feed_forward = int(found["vocab_size"]), int(found["intermediate_size"])
    except KeyError as error:
        raise InputError(
            f"{config}: {error.args[0]} is missing, so its cost is unknown", "Give the model's size."
        ) from None
    head = int(found.get("head_dim") or width // n_heads)
    keys = int(found.get("num_key_value_heads") or n_heads) * head
    is_tied = bool(found.get("tie_word_embeddings", False))
    return _dense(layers, width, n_heads * head, keys, feed_forward, vocabulary, is_tied=is_tied)


def shape_of_size(parameters: float) -> ModelShape:
    """A usual decoder of so many parameters, where nothing else is known: the table's nearest, scaled in its layers."""
    if not parameters > 0:
        raise InputError(f"a model of {parameters:g} parameters", "Give a positive number, e.g. 7.6e9.")
    nearest = min(
        (s for s in TABLE.values() if s.active is None),
        key=lambda s: abs(math.log(s.parameters / parameters)),
    )
    embeddings = nearest.vocabulary * nearest.width * (1 if nearest.is_tied else 2)
    body = max(parameters - embeddings, parameters * 0.2)
    layers = max(1, round(nearest.layers * body / (nearest.parameters - embeddings)))
    return replace(nearest, parameters=parameters, layers=layers)


def settle_shape(model: str | float | Mapping[str, Any]) -> ModelShape:
    """A shape from what settings say: a name of the table, a number of parameters, or a mapping of fields."""
    if isinstance(model, Mapping):
        try:
            return ModelShape(**{"active": None, **model})
        except TypeError as error:
            raise InputError(f"model: {error}", f"Fields: {', '.join(ModelShape.__slots__)}.") from None
    if isinstance(model, str):
        found = find_shape(model)
        if found is None:
            raise InputError(
                f"the size of {model!r} is not known here",
                f"{suggest(model, TABLE)} Or give its number of parameters.",
            )
        return found
    return shape_of_size(float(model))
