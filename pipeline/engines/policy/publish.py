"""Publishing the weights of a running or finished training as a policy folder.

Guaranteed: the trained model is not touched, so that a step can be published in the middle of a run; adapters are
merged; weights spread by ZeRO-3 are gathered; only the first process writes; what the model says of itself (what ends
a response, use_cache, generation defaults) is what the starting policy said, not what Trainer made of it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig

from pipeline.engines.policy.folder import save_policy
from pipeline.stages._training import TrainingConfig


def save_trained(trainer: Any, tokenizer: Any, folder: Path, config: TrainingConfig, *, start: Path) -> None:
    """Save the current weights of a training from policy `start` in its precision; all processes call it together."""
    model = trainer.accelerator.unwrap_model(trainer.model)
    if config.deepspeed == "zero3":  # a collective: every process takes part
        state = trainer.accelerator.get_state_dict(trainer.model_wrapped)
    if not trainer.is_world_process_zero():
        return
    if config.deepspeed != "zero3":
        state = model.state_dict() if config.lora is None else merge_adapters(model)
    if config.lora is not None:
        model = model.get_base_model()
    dtype = torch.bfloat16 if config.precision == "bf16" else torch.float32
    save_policy(_copy_model(model, state, dtype, start), tokenizer, folder, start=start)


def merge_adapters(model: Any) -> dict[str, torch.Tensor]:
    """The plain weights of a peft model with W + (alpha / r) B A in place of W; the model stays as it is.

    LoRA: Hu et al., arXiv:2106.09685. peft can only merge in place, and undoing that rounds the weights.
    """
    base = model.get_base_model()
    merged: dict[str, torch.Tensor] = {}
    for name, value in base.state_dict().items():
        if ".lora_" in name:
            continue
        if ".base_layer." in name:
            layer, _, leaf = name.rpartition(".base_layer.")
            delta = base.get_submodule(layer).get_delta_weight("default") if leaf == "weight" else 0
            merged[f"{layer}.{leaf}"] = (value + delta).to(value.dtype)
        else:
            merged[name] = value
    return merged


def _copy_model(model: Any, state: dict[str, Any], dtype: torch.dtype, start: Path) -> Any:
    """A model on the CPU with the settings of policy `start` that holds `state` in `dtype`."""
    settings = AutoConfig.from_pretrained(start, trust_remote_code=False, local_files_only=True)
    with torch.random.fork_rng(devices=[]), torch.device("meta"):
        copied = type(model)(settings).to(dtype)
    weights = {name: value.detach().to("cpu", dtype, copy=True) for name, value in state.items()}
    copied.load_state_dict(weights, assign=True)
    copied.tie_weights()
    copied.generation_config = model.generation_config
    return copied
