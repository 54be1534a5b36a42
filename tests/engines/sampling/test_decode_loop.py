"""The decode loop against transformers without a cache: what it accepts is exact, what it cannot do is refused."""

from __future__ import annotations

import json

import pytest

from pipeline.engines.sampling.protocol import Request, read_context
from pipeline.errors import InputError, StageError

SIZES = {
    "vocab_size": 64, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 64, "bos_token_id": None, "pad_token_id": None,
    "eos_token_id": None,
}  # fmt: skip
LATENT = {
    "kv_lora_rank": 16, "q_lora_rank": 16, "qk_rope_head_dim": 8, "qk_nope_head_dim": 8, "v_head_dim": 12,
    "num_key_value_heads": 4, "first_k_dense_replace": 2,
}  # fmt: skip
ROPE = {"rope_theta": 10_000.0, "factor": 4.0}
FACTORS = {"short_factor": [1.0] * 4, "long_factor": [4.0] * 4}
PHI3 = {"sliding_window": None, "original_max_position_embeddings": 16}
END = 63


def build(kind: str, **config):
    """A random model of an architecture, sharp enough that its choices depend on every position."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **{**SIZES, **config})).float().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.normal_(0, 0.25)
    return model


def run_loop(model, requests, slots=4, temperature=0.0):
    import torch

    from pipeline.engines.sampling.attention import check_architecture, grouped_attention
    from pipeline.engines.sampling.decode_loop import decode

    check_architecture(model)
    with torch.inference_mode(), grouped_attention(model):
        drawn = decode(model, requests, eos=[END], slots=slots, temperature=temperature, top_p=1.0)
        return {response.position: response.token_ids for response in drawn}


def extend_plainly(model, request):
    """The greedy continuation by whole forward passes."""
    import torch

    ids = list(request.prompt_ids)
    with torch.inference_mode():
        while len(ids) < len(request.prompt_ids) + request.max_tokens:
            token = int(model(input_ids=torch.tensor([ids]), use_cache=False).logits[0, -1].argmax())
            if token == END:
                break
            ids.append(token)
    return tuple(ids[len(request.prompt_ids) :])


def make_requests(n: int = 6, max_tokens: int = 20) -> list[Request]:
    return [
        Request(i, tuple((7 * i + 3 * j) % 60 for j in range(3 + 2 * i)), i, max_tokens) for i in range(n)
    ]


@pytest.mark.parametrize(
    ("kind", "config"),
    [
        ("llama", {"rope_parameters": {**ROPE, "rope_type": "yarn", "original_max_position_embeddings": 16}}),
        ("qwen3", {"head_dim": 8}),
        ("granite", {"attention_multiplier": 0.3}),
        ("gpt2", {"n_embd": 32, "n_layer": 2, "n_head": 4}),
        ("mistral", {"sliding_window": 64}),
        ("deepseek_v3", LATENT),
    ],
)
def test_accepted_models_continue_as_whole_forward_passes_do(kind, config):
    model = build(kind, **config)
    requests = make_requests()
    assert run_loop(model, requests) == {r.position: extend_plainly(model, r) for r in requests}


@pytest.mark.parametrize(
    ("kind", "config", "limit"),
    [
        ("mistral", {"sliding_window": 16}, 16),
        ("llama", {"max_position_embeddings": 16, "rope_parameters": {**ROPE, "rope_type": "dynamic"}}, 16),
        ("phi3", {**PHI3, "rope_parameters": {**ROPE, **FACTORS, "rope_type": "longrope"}}, 16),
    ],
)
def test_a_window_and_growing_positions_are_exact_up_to_their_limit_and_refused_beyond(kind, config, limit):
    model = build(kind, **config)
    short = [Request(i, tuple(range(1 + i, 5 + i)), i, limit - 4 - i % 3) for i in range(6)]
    assert run_loop(model, short) == {r.position: extend_plainly(model, r) for r in short}
    too_long = [*short, Request(6, (1, 2, 3, 4, 5), 0, limit - 4)]
    with pytest.raises(InputError, match=f"after {limit} positions.* asks for {limit + 1}.*\n.*vllm"):
        run_loop(model, too_long)


@pytest.mark.parametrize(
    ("kind", "config", "cause"),
    [
        ("gemma3_text", {"head_dim": 8, "sliding_window": 8}, "sliding"),
        ("gemma2", {"head_dim": 8, "layer_types": ["full_attention"] * 2}, "softcap"),
        ("gpt_oss", {"head_dim": 8, "num_local_experts": 4, "layer_types": ["full_attention"] * 2}, "s_aux"),
    ],
)
def test_other_attention_is_refused_before_anything_is_drawn(kind, config, cause):
    with pytest.raises(InputError, match=f"{cause}.*\n.*vllm"):
        run_loop(build(kind, **config), make_requests())


def test_an_idle_slot_never_leaves_the_table_of_positions():
    model = build("gpt2", n_embd=32, n_layer=2, n_head=4, max_position_embeddings=32)
    long, short = Request(0, tuple(range(1, 30)), 0, 3), [Request(i, (i,), i, 31) for i in range(1, 6)]
    assert len(run_loop(model, [long, *short], slots=6)) == 6


@pytest.mark.parametrize("temperature", [0.0, 0.001])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_logits_that_are_no_numbers_name_the_response_and_the_token(temperature, value):
    model = build("llama")
    requests = [Request(0, (1, 2, 3), 0, 8, "problem 'a' (sample 2)")]
    first = extend_plainly(model, requests[0])[0]
    model.model.embed_tokens.weight.data[first] = value
    with pytest.raises(StageError, match=r"problem 'a' \(sample 2\): .* token 2 "):
        run_loop(model, requests, temperature=temperature)


@pytest.mark.parametrize(
    ("config", "context"),
    [
        ({"max_position_embeddings": 64}, 64),
        ({"n_positions": 64}, 64),
        ({"text_config": {"max_position_embeddings": 64}}, 64),
        ({}, 2**31),
    ],
)
def test_the_context_is_found_under_every_name(tmp_path, config, context):
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert read_context(tmp_path) == context
