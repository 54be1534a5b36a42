"""What SFT and RL configurations share: the optimiser, the schedule, the precision, the placement."""

from __future__ import annotations

from typing import Literal

from pydantic import model_validator

from pipeline.fingerprint import Config, content, placement
from pipeline.stages import Placement

Schedule = Literal["cosine", "cosine_with_min_lr", "linear", "constant", "constant_with_warmup"]
Precision = Literal["bf16", "fp32"]


def refuse_idle_warmup(schedule: str, warmup: float) -> None:
    """Refuse a warmup that transformers would leave out without a word."""
    if schedule == "constant":
        raise ValueError(
            f"schedule constant has no warmup, so warmup {warmup} would do nothing\n"
            "Set schedule: constant_with_warmup, or leave warmup out."
        )


class Lora(Config):
    """Low-rank adapters on all linear layers (peft); merged into the weights when training ends."""

    rank: int = content(8, describe="Rank r.", ge=1)
    alpha: int = content(16, describe="Scale numerator; the update is multiplied by alpha / rank.", ge=1)
    dropout: float = content(0.0, describe="Dropout on the adapter's input.", ge=0, lt=1)


class TrainingConfig(Config):
    """The fields of every stage that updates weights with a Trainer."""

    learning_rate: float = content(describe="Peak learning rate.", gt=0)
    schedule: Schedule = content("cosine", describe="Learning-rate schedule over all optimiser updates.")
    min_lr_ratio: float = content(
        0.1, describe="Final over peak learning rate, for cosine_with_min_lr only.", ge=0, le=1
    )
    warmup: float = content(0.0, describe="Share of the updates spent warming up linearly.", ge=0, lt=1)
    weight_decay: float = content(0.0, describe="AdamW weight decay.", ge=0)
    adam_beta1: float = content(0.9, describe="AdamW beta 1.", gt=0, lt=1)
    adam_beta2: float = content(0.999, describe="AdamW beta 2.", gt=0, lt=1)
    max_grad_norm: float = content(1.0, describe="Gradient norm above which gradients are scaled down.", gt=0)
    precision: Precision = content("bf16", describe="Precision of the forward and backward pass.")
    lora: Lora | None = content(None, describe="Train adapters instead of all weights.")

    gpus: int = placement(
        0, describe="GPUs of one run, all of one node, one process each; 0 trains on the CPU.", ge=0
    )
    cpu_processes: int = placement(
        1, describe="Processes of a run without GPUs; for tests and small clusters without GPUs.", ge=1
    )
    deepspeed: Literal["none", "zero2", "zero3"] = placement(
        "none", describe="Sharding of optimiser state (zero2) or also weights (zero3) through accelerate."
    )
    attention: Literal["sdpa", "flash_attention_2"] = placement(
        "sdpa", describe="Attention kernels; flash_attention_2 needs GPUs and the package flash-attn."
    )
    gradient_checkpointing: bool = placement(False, describe="Recompute activations to save memory.")
    save_every_minutes: float = placement(
        10.0, describe="Minutes between working checkpoints that a killed run resumes from.", gt=0
    )

    @property
    def processes(self) -> int:
        """Processes that one run is spread over."""
        return self.gpus or self.cpu_processes

    def refuse_uneven(self, name: str, batch: int, micro_batch: int | None) -> None:
        """Refuse an update that processes and passes cannot share evenly, before any GPU waits for it."""
        per_process, rest = divmod(batch, self.processes)
        if rest:
            raise ValueError(
                f"{name} {batch} cannot be spread evenly over {self.processes} processes\n"
                f"Choose gpus that divide {batch}."
            )
        if per_process % min(micro_batch or per_process, per_process):
            raise ValueError(
                f"micro_batch {micro_batch} does not divide the {per_process} sequences that each process takes per "
                f"update\nChoose a divisor of {per_process}, or leave micro_batch out."
            )

    @model_validator(mode="after")
    def _fits_together(self) -> TrainingConfig:
        if self.gpus and self.cpu_processes > 1:
            raise ValueError("cpu_processes counts without GPUs only: leave it out, or set gpus: 0")
        if self.attention == "flash_attention_2" and not self.gpus:
            raise ValueError("attention: flash_attention_2 needs gpus")
        if self.warmup:
            refuse_idle_warmup(self.schedule, self.warmup)
        if self.lora is not None and self.deepspeed == "zero3":
            raise ValueError("lora cannot be merged under deepspeed: zero3; use zero2 or none")
        return self


def place_training(config: TrainingConfig) -> Placement:
    """Where a training runs: one process per GPU, or as many as it asks for on the CPU."""
    return Placement(gpus=config.gpus, processes=config.processes, deepspeed=config.deepspeed)
