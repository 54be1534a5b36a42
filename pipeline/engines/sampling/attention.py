"""The attention of the decode loop, and which models it is exact for.

Refused: models with recurrent or mixed layers, attention that is more than a masked softmax (sinks, capped
logits), sequences beyond a sliding window or beyond the first length of a dynamic or long RoPE.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch.nn.functional import scaled_dot_product_attention

from pipeline.engines.sampling.protocol import Request
from pipeline.errors import InputError

ATTENTION = "studyc_grouped"
USE_VLLM = "Use vLLM for this model (engine: vllm; for the rollouts of RL: rollout_engine: vllm)"
OTHER_ATTENTION = ("softcap", "s_aux", "position_bias", "indices", "block_indices")
"""What layers of transformers ask of an attention function beyond a masked softmax."""


def check_architecture(model: Any) -> None:
    """Refuse models whose caches are more than keys and values of every position."""
    kinds = set(getattr(model.config.get_text_config(), "layer_types", None) or ())
    others = sorted(kinds - {"full_attention"})
    if others or not model._supports_attention_backend:
        found = f" ({', '.join(others)})" if others else ""
        raise InputError(
            f"{type(model).__name__} has layers that the transformers engine cannot sample from{found}",
            f"{USE_VLLM}.",
        )


def check_lengths(model: Any, requests: Sequence[Request]) -> None:
    """Refuse sequences that outgrow what a plain KV cache can hold."""
    config = model.config.get_text_config()
    limits = []
    if not getattr(config, "layer_types", None):
        limits.append(getattr(config, "sliding_window", None))
    rope = getattr(config, "rope_parameters", None) or {}
    if "dynamic" in rope.get("rope_type", ""):
        limits.append(config.max_position_embeddings)
    elif rope.get("rope_type") == "longrope":
        limits.append(rope["original_max_position_embeddings"])
    limit = min(filter(None, limits), default=None)
    longest = max(requests, key=_count_positions, default=None)
    if limit and longest and _count_positions(longest) > limit:
        raise InputError(
            f"{type(model).__name__} attends otherwise after {limit} positions (sliding window, dynamic or long RoPE), "
            f"which the transformers engine does not; {longest.name} asks for {_count_positions(longest)}",
            f"{USE_VLLM}, or lower max_new_tokens.",
        )


def _count_positions(request: Request) -> int:
    return len(request.prompt_ids) + request.max_tokens


@contextlib.contextmanager
def grouped_attention(model: Any) -> Iterator[None]:
    """Let the model attend with `_attend` inside the block."""
    from transformers import AttentionInterface

    AttentionInterface.register(ATTENTION, _attend)
    before = model.config._attn_implementation
    model.set_attn_implementation(ATTENTION)
    try:
        yield
    finally:
        model.set_attn_implementation(before)


def _attend(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    mask: torch.Tensor | None,
    **options: Any,
) -> tuple[torch.Tensor, None]:
    """Attention with grouped queries that never copies keys: while decoding (one query column), the heads
    of a group stand where query columns would, so every group attends at once."""
    for name in OTHER_ATTENTION:
        if options.get(name) is not None:
            raise InputError(
                f"{type(module).__name__} asks for {name!r}, which the transformers engine's attention has not",
                f"{USE_VLLM}.",
            )
    rows, heads, columns, width = query.shape
    if columns == 1:
        grouped = query.view(rows, key.shape[1], heads // key.shape[1], width)
        out = scaled_dot_product_attention(grouped, key, value, attn_mask=mask, scale=options["scaling"])
        return out.reshape(rows, 1, heads, value.shape[-1]), None
    out = scaled_dot_product_attention(
        query, key, value, attn_mask=mask, scale=options["scaling"], enable_gqa=heads != key.shape[1]
    )
    return out.transpose(1, 2).contiguous(), None
