"""TrainingConfig in the words of transformers.TrainingArguments, the same for SFT and RL.

Guaranteed: every default of the Trainer that moves results or leaves the machine is set here; the global
batch is `batch_size` whatever the number of processes, or the run is refused.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from pipeline.errors import InputError
from pipeline.stages.training import TrainingConfig


def count_processes() -> int:
    """Processes of this run, as the launcher (accelerate, torchrun) set it; 1 without a launcher."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def split_batch(batch_size: int, micro_batch: int | None) -> tuple[int, int]:
    """(sequences per device and pass, passes per update) that make up the global batch exactly."""
    processes = count_processes()
    per_process, rest = divmod(batch_size, processes)
    if rest:
        raise InputError(
            f"a batch of {batch_size} cannot be spread evenly over {processes} processes",
            "Choose a number of GPUs that divides batch_size.",
        )
    micro = min(micro_batch or per_process, per_process)
    if per_process % micro:
        raise InputError(
            f"micro_batch {micro} does not divide the {per_process} sequences that each process takes per update",
            f"Choose a divisor of {per_process}, or leave micro_batch out.",
        )
    return micro, per_process // micro


def check_devices(config: TrainingConfig) -> None:
    """Refuse a run whose GPUs or processes are not those that its configuration names."""
    import torch

    if config.gpus == 0:
        return
    if not torch.cuda.is_available():
        raise InputError(
            f"{config.gpus} GPUs are asked for and this machine shows none",
            "Run the job where the GPUs are, or set gpus: 0 in the site's placement.",
        )
    if count_processes() != config.gpus:
        raise InputError(
            f"{config.gpus} GPUs are asked for and {count_processes()} processes were started",
            f"Start the stage with: accelerate launch --num_processes {config.gpus} …",
        )


def build_arguments(config: TrainingConfig, *, seed: int, output: Path) -> dict[str, Any]:
    """The common keyword arguments of SFTConfig, GRPOConfig and RLOOConfig; batch sizes and length are not
    set.

    Weights are fp32 and `precision: bf16` is autocast around them (CPU too), except under DeepSpeed, which
    keeps its own master weights. Checkpoints are asked for by TrainingLog only.
    """
    check_devices(config)
    schedule_options = (
        {"min_lr_rate": config.min_lr_ratio} if config.schedule == "cosine_with_min_lr" else None
    )
    arguments: dict[str, Any] = {
        "output_dir": str(output),
        "seed": seed,
        "data_seed": seed,
        "learning_rate": config.learning_rate,
        "lr_scheduler_type": config.schedule,
        "lr_scheduler_kwargs": schedule_options,
        "warmup_steps": config.warmup,
        "weight_decay": config.weight_decay,
        "adam_beta1": config.adam_beta1,
        "adam_beta2": config.adam_beta2,
        "max_grad_norm": config.max_grad_norm,
        "optim": "adamw_torch",
        "bf16": config.precision == "bf16",
        "use_cpu": config.gpus == 0,
        "gradient_checkpointing": config.gradient_checkpointing,
        "dataloader_pin_memory": config.gpus > 0,
        "save_strategy": "no",
        "save_total_limit": 2,
        "logging_steps": 1,
        "logging_nan_inf_filter": False,
        "report_to": "none",
        "disable_tqdm": True,
        "push_to_hub": False,
    }
    if config.deepspeed != "none":
        arguments["deepspeed"] = deepspeed_options(config)
    return arguments


def deepspeed_options(config: TrainingConfig) -> dict[str, Any]:
    """The DeepSpeed configuration of ZeRO-2 or ZeRO-3; what TrainingConfig decides is left to it ("auto")."""
    zero: dict[str, Any] = {"stage": 2 if config.deepspeed == "zero2" else 3, "overlap_comm": config.gpus > 0}
    if config.deepspeed == "zero3":
        zero["stage3_gather_16bit_weights_on_model_save"] = True
    return {
        "zero_optimization": zero,
        "bf16": {"enabled": "auto"},
        "gradient_clipping": "auto",
        "train_batch_size": "auto",
        "train_micro_batch_size_per_gpu": "auto",
        "gradient_accumulation_steps": "auto",
    }


def build_lora(config: TrainingConfig) -> Any:
    """The peft configuration of `lora`, or None where all weights are trained."""
    if config.lora is None:
        return None
    if config.deepspeed == "zero3":
        raise InputError("lora cannot be merged under zero3", "Use deepspeed: zero2 or none with lora.")
    from peft import LoraConfig

    return LoraConfig(
        r=config.lora.rank,
        lora_alpha=config.lora.alpha,
        lora_dropout=config.lora.dropout,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )


def save_trained(trainer: Any, tokenizer: Any, folder: Path, config: TrainingConfig) -> None:
    """Save the trained weights in the training precision, adapters merged; only the first process writes."""
    import torch

    from pipeline.engines.policy import save_policy

    model = trainer.accelerator.unwrap_model(trainer.model)
    if config.lora is not None:
        model = model.merge_and_unload()
    if config.deepspeed == "zero3":
        state = trainer.accelerator.get_state_dict(trainer.model_wrapped)
        if trainer.is_world_process_zero():
            save_policy(_WithState(model, state), tokenizer, folder)
        return
    if trainer.is_world_process_zero():
        dtype = torch.bfloat16 if config.precision == "bf16" else torch.float32
        save_policy(model.to(dtype), tokenizer, folder)


class _WithState:
    """A model that is saved with a state gathered from all processes (ZeRO-3 empties the local one)."""

    def __init__(self, model: Any, state: dict[str, Any]) -> None:
        self.model, self.state = model, state

    def save_pretrained(self, folder: Path, **options: Any) -> None:
        self.model.save_pretrained(folder, state_dict=self.state, **options)
