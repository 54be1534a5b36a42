"""Supervised fine-tuning of a policy on the completions of a data set (TRL SFTTrainer)."""

from __future__ import annotations

from typing import Literal

from pydantic import model_validator

from pipeline.fingerprint import content, placement
from pipeline.prompt import Prompt
from pipeline.stages import Stage, Training
from pipeline.stages._training import TrainingConfig, place_training


class SftConfig(TrainingConfig):
    """How a policy is fine-tuned; rows come from the data set, so their number is not here."""

    epochs: float = content(describe="Passes over the data.", gt=0)
    batch_size: int = content(describe="Sequences per optimiser update, over all GPUs together.", ge=1)
    max_length: int = content(16_384, describe="Tokens after which a sequence is cut.", ge=8)
    loss_on: Literal["completion", "all"] = content("completion", describe="Tokens that carry loss.")
    packing: Literal["none", "isolated"] = content(
        "none", describe="isolated: several examples per row, none of which attends to another (best-fit)."
    )
    bucket_by_length: bool = content(
        False, describe="Batch sequences of similar length together (less padding, other batches)."
    )
    prompt: Prompt = content(Prompt(), describe="How a problem becomes a prompt.")

    micro_batch: int | None = placement(
        None, describe="Sequences per device and pass; the whole batch when absent.", ge=1
    )

    @model_validator(mode="after")
    def _is_even(self) -> SftConfig:
        self.refuse_uneven("batch_size", self.batch_size, self.micro_batch)
        return self


STAGE = Stage(
    name="sft",
    version=2,
    config=SftConfig,
    produces="policy",
    follows="base",
    summary="Fine-tune a policy on completions.",
    place=place_training,
    imports_torch=True,
    training=Training(slug=lambda _, rows: f"sft-{rows}", logs=("loss", "token_accuracy")),
    is_in_status=True,
)
