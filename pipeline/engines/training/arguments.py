"""TrainingConfig in the words of transformers.TrainingArguments, the same for SFT and RL.

Guaranteed: every default of the Trainer that moves results or leaves the machine is set here; the global
batch is `batch_size` whatever the number of processes, or the run is refused.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipeline.engines.training.parallel import (
    check_devices,
    count_processes,
    deepspeed_options,
    open_cpu_group,
    prepare_compiler,
)
from pipeline.errors import InputError
from pipeline.stages._training import TrainingConfig


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


def build_arguments(
    config: TrainingConfig, *, seed: int, output: Path, micro_batch: int, accumulation: int
) -> dict[str, Any]:
    """The common keyword arguments of SFTConfig, GRPOConfig and RLOOConfig.

    They are to become such a config before the model is loaded: under ZeRO-3 its making opens the process group and
    tells from_pretrained to spread the weights while they are read (zero.Init).

    Weights are fp32 and `precision: bf16` is autocast around them (CPU too), except under DeepSpeed, which
    keeps its own master weights. Checkpoints are asked for by TrainingLog only.
    """
    check_devices(config)
    schedule_options = (
        {"min_lr_rate": config.min_lr_ratio} if config.schedule == "cosine_with_min_lr" else None
    )
    arguments: dict[str, Any] = {
        "output_dir": str(output),
        "per_device_train_batch_size": micro_batch,
        "gradient_accumulation_steps": accumulation,
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
        "gradient_checkpointing_kwargs": {"use_reentrant": False},  # DDP and frozen weights need it
        "average_tokens_across_devices": True,  # the loss of an update, however many processes share it
        "ddp_find_unused_parameters": False,
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
        prepare_compiler()
        options = deepspeed_options(config, micro_batch=micro_batch, accumulation=accumulation)
        arguments["deepspeed"] = options
    if config.gpus == 0 and (config.processes > 1 or config.deepspeed != "none"):
        open_cpu_group(config)
        arguments["accelerator_config"] = {"use_configured_state": True}
    return arguments


def settle_devices(arguments: Any, config: TrainingConfig) -> Any:
    """The same TrainingArguments, told that one GPU means one GPU.

    Where a single process sees several GPUs, Trainer would wrap the model in DataParallel and multiply the batch.
    """
    if config.gpus == 1 and arguments.n_gpu > 1:
        arguments._n_gpu = 1
    return arguments


def check_attention(config: TrainingConfig) -> None:
    """Refuse attention kernels that are not installed, before the weights are read."""
    from transformers.utils import is_flash_attn_2_available

    if config.attention == "flash_attention_2" and not is_flash_attn_2_available():
        raise InputError(
            "attention: flash_attention_2 needs the package flash-attn and a GPU that it supports",
            "Install flash-attn into the stage's environment, or leave attention out (sdpa).",
        )


def build_lora(config: TrainingConfig) -> Any:
    """The peft configuration of `lora`, or None where all weights are trained."""
    if config.lora is None:
        return None
    from peft import LoraConfig

    return LoraConfig(
        r=config.lora.rank,
        lora_alpha=config.lora.alpha,
        lora_dropout=config.lora.dropout,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )
