"""The same trainings written by hand against TRL: what somebody without this project would have typed."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Timing:
    """Seconds inside trainer.train(), of the whole call and of the processor in it, tokens trained on or generated."""

    training_s: float
    whole_s: float
    cpu_s: float
    tokens: float

    @property
    def tokens_per_s(self) -> float:
        """Speed inside the training loop."""
        return self.tokens / self.training_s


COMMON: dict[str, Any] = {
    "seed": 3, "data_seed": 3, "learning_rate": 1e-4, "lr_scheduler_type": "cosine", "warmup_steps": 0.0,
    "optim": "adamw_torch", "max_grad_norm": 1.0, "bf16": False, "use_cpu": True, "gradient_checkpointing": False,
    "dataloader_pin_memory": False, "save_strategy": "no", "logging_steps": 1, "logging_nan_inf_filter": False,
    "report_to": "none", "disable_tqdm": True,
}  # fmt: skip


def sft(policy: Path, rows: Path, folder: Path, *, epochs: float, batch_size: int, max_length: int) -> Timing:
    """SFTTrainer on prompt and completion, completion-only loss; saves the model."""
    import polars as pl
    from datasets import Dataset
    from transformers import AutoModelForCausalLM, PrinterCallback
    from trl import SFTConfig, SFTTrainer

    started, used = time.monotonic(), time.process_time()
    frame = pl.read_parquet(rows)
    data = Dataset.from_dict(
        {
            "prompt": [[{"role": "user", "content": text}] for text in frame["problem"]],
            "completion": [[{"role": "assistant", "content": text}] for text in frame["solution"]],
        }
    )
    arguments = SFTConfig(
        output_dir=str(folder), num_train_epochs=epochs, per_device_train_batch_size=batch_size, max_length=max_length,
        **COMMON,
    )  # fmt: skip
    model = AutoModelForCausalLM.from_pretrained(policy, dtype="float32")
    trainer = SFTTrainer(model=model, args=arguments, train_dataset=data, processing_class=_tokenizer(policy))
    trainer.remove_callback(PrinterCallback)
    tokens = sum(len(ids) for ids in trainer.train_dataset["input_ids"]) * epochs
    before = time.monotonic()
    trainer.train()
    training = time.monotonic() - before
    trainer.save_model(str(folder / "model"))
    return Timing(training, time.monotonic() - started, time.process_time() - used, tokens)


def grpo(
    policy: Path, rows: Path, folder: Path, *, steps: int, prompts: int, rollouts: int, new_tokens: int
) -> Timing:
    """GRPOTrainer with the accuracy reward; tokens are those generated."""
    import polars as pl
    from datasets import Dataset
    from transformers import AutoModelForCausalLM, PrinterCallback
    from trl import GRPOConfig, GRPOTrainer

    from pipeline import rewards

    started, used = time.monotonic(), time.process_time()
    frame = pl.read_parquet(rows).unique("problem", keep="first", maintain_order=True)
    prompt = [[{"role": "user", "content": text}] for text in frame["problem"]]
    data = Dataset.from_dict({"prompt": prompt, "solution": frame["answer"].to_list()})
    arguments = GRPOConfig(
        output_dir=str(folder), max_steps=steps, per_device_train_batch_size=prompts * rollouts,
        num_generations=rollouts, max_completion_length=new_tokens, temperature=1.0, top_p=1.0, top_k=0, beta=0.0,
        loss_type="grpo", scale_rewards="group", shuffle_dataset=True, disable_dropout=False, **COMMON,
    )  # fmt: skip
    tokenizer = _tokenizer(policy)
    reward = rewards.build("accuracy", {}, eos_token_ids=[tokenizer.eos_token_id], group_size=rollouts)
    model = AutoModelForCausalLM.from_pretrained(policy, dtype="float32")
    trainer = GRPOTrainer(
        model=model, args=arguments, train_dataset=data, processing_class=tokenizer, reward_funcs=reward
    )
    trainer.remove_callback(PrinterCallback)
    before = time.monotonic()
    trainer.train()
    training = time.monotonic() - before
    trainer.save_model(str(folder / "model"))
    lengths = [
        row["completions/mean_length"]
        for row in trainer.state.log_history
        if "completions/mean_length" in row
    ]
    tokens = sum(lengths) * prompts * rollouts
    return Timing(training, time.monotonic() - started, time.process_time() - used, tokens)


def _tokenizer(policy: Path) -> Any:
    from transformers import PreTrainedTokenizerFast

    return PreTrainedTokenizerFast.from_pretrained(policy)
