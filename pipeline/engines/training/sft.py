"""One fine-tuning with TRL's SFTTrainer: what the stage `sft` and the pretraining of tiny policies share.

Guaranteed: the batch order follows from the seed and the epoch alone, so a killed run that resumes ends with the
same weights as one that was never killed (same machine, same number of processes).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from transformers import PrinterCallback
from trl import SFTConfig as SftArguments

from pipeline.engines.training.arguments import build_arguments, build_lora, settle_devices, split_batch
from pipeline.engines.training.examples import TokenizedExamples
from pipeline.engines.training.log import TrainingLog, find_checkpoint
from pipeline.engines.training.order import OrderedTrainer
from pipeline.engines.training.parallel import EngineCheck, EpochOrder, check_trainer, count_processes
from pipeline.stages.sft import SftConfig


def fit(
    load_model: Callable[[], Any],
    tokenizer: Any,
    tokens: TokenizedExamples,
    config: SftConfig,
    *,
    seed: int,
    work: Path,
    progress: Callable[[int, int, dict[str, float]], None],
) -> tuple[OrderedTrainer, dict[str, Any]]:
    """Train the model in place, resuming from `work`; (trainer, facts). StageError when stopped or NaN.

    The model is loaded late: what it is loaded into (ZeRO-3) is known only when the arguments are made.
    """
    checkpoint = find_checkpoint(work)
    log = TrainingLog(work=work, progress=progress, save_every_minutes=config.save_every_minutes, kind="SFT")
    arguments = build_options(config, seed=seed, output=work / "checkpoints")
    trainer = _build_trainer(load_model(), tokenizer, tokens, config, arguments, seed=seed)
    trainer.add_callback(log)
    started = time.monotonic()
    try:
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    finally:
        log.close()
    log.raise_if_stopped()
    first_step = int(checkpoint.name.rpartition("-")[2]) if checkpoint else 0
    return trainer, _measure(trainer, tokens, config, log, time.monotonic() - started, first_step)


def build_options(config: SftConfig, *, seed: int, output: Path) -> SftArguments:
    """TRL's configuration of an SFT run."""
    return settle_devices(SftArguments(**describe_options(config, seed=seed, output=output)), config)


def describe_options(config: SftConfig, *, seed: int, output: Path) -> dict[str, Any]:
    """The keyword arguments of TRL's configuration."""
    micro_batch, passes = split_batch(config.batch_size, config.micro_batch)
    is_packed = config.packing == "isolated"
    common = build_arguments(config, seed=seed, output=output, micro_batch=micro_batch, accumulation=passes)
    return common | {
        "num_train_epochs": config.epochs,
        "max_length": config.max_length if is_packed else None,  # the rows are already cut
        "packing": is_packed,
        "packing_strategy": "bfd",
        "completion_only_loss": False,  # the labels are already masked
    }


def _build_trainer(
    model: Any,
    tokenizer: Any,
    tokens: TokenizedExamples,
    config: SftConfig,
    arguments: SftArguments,
    *,
    seed: int,
) -> OrderedTrainer:
    trainer = OrderedTrainer(
        model=model,
        args=arguments,
        train_dataset=tokens.dataset,
        processing_class=tokenizer,
        peft_config=build_lora(config),
        bucket=(config.batch_size, seed) if config.bucket_by_length else None,
    )
    check_trainer(trainer, config)
    trainer.add_callback(EngineCheck(trainer, config))
    trainer.add_callback(EpochOrder)
    trainer.remove_callback(PrinterCallback)
    return trainer


def _measure(
    trainer: OrderedTrainer,
    tokens: TokenizedExamples,
    config: SftConfig,
    log: TrainingLog,
    seconds: float,
    first_step: int,
) -> dict[str, Any]:
    steps, total = trainer.state.global_step, sum(tokens.lengths)
    share = (steps - first_step) / max(steps, 1)
    return {
        "rows": len(tokens.lengths),
        "rows_truncated": tokens.truncated,
        "rows_dropped": tokens.dropped,
        "tokens_per_epoch": total,
        "steps": steps,
        "resumed_at_step": first_step,
        "processes": count_processes(),
        "final_loss": log.last_metrics.get("loss"),
        "training_seconds": round(seconds, 2),
        "tokens_per_second": round(total * config.epochs * share / max(seconds, 1e-9), 1),
    }
