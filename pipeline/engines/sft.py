"""The sft stage's work: fine-tune a policy with TRL's SFTTrainer.

Reads the model of input `policy` and the rows of `data`; leaves model/ and log.parquet.
Refused: what training/examples.py refuses, rows beyond the model's context, NaN.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipeline.engines.policy.folder import check_policy_folder, load_policy, load_tokenizer
from pipeline.engines.policy.publish import save_trained
from pipeline.engines.sampling.protocol import read_context
from pipeline.engines.training.arguments import check_attention
from pipeline.engines.training.examples import TokenizedExamples, read_examples, tokenize
from pipeline.engines.training.log import write_log
from pipeline.engines.training.sft import fit
from pipeline.errors import InputError
from pipeline.stages.sft import SftConfig
from pipeline.store.job import Job


def run(job: Job) -> dict[str, Any]:
    """Train on inputs `policy` and `data`; leaves model/ and log.parquet in the artifact's folder."""
    return train(job, job.config, policy=job.one("policy") / "model", rows=job.one("data") / "rows.parquet")


def train(job: Job, config: SftConfig, *, policy: Path, rows: Path) -> dict[str, Any]:
    """Fine-tune `policy` on `rows` (rows.parquet); leaves model/ and log.parquet in the job's folder.

    Returns the measured facts: rows, rows_truncated, rows_dropped, tokens_per_epoch, steps, final_loss,
    training_seconds and tokens_per_second of this attempt.
    """
    examples = read_examples(rows)
    check_policy_folder(policy)
    check_attention(config)
    tokenizer = load_tokenizer(policy)
    tokens = tokenize(examples, tokenizer, config)
    _check_context(tokens, read_context(policy))

    def progress(step: int, total: int, metrics: dict[str, float]) -> None:
        job.progress(step, total, "steps", **{name: metrics[name] for name in ("loss",) if name in metrics})

    load_model = lambda: load_policy(policy, attention=config.attention)[0]
    trainer, facts = fit(
        load_model, tokenizer, tokens, config, seed=job.seed, work=job.work, progress=progress
    )
    if trainer.is_world_process_zero():
        write_log(job.work, job.folder / "log.parquet")
    save_trained(trainer, tokenizer, job.folder / "model", config, start=policy)
    return facts


def _check_context(tokens: TokenizedExamples, context: int) -> None:
    """Refuse rows beyond the positions that the model was made for: it would learn from places it cannot tell apart."""
    if longer := sum(length > context for length in tokens.lengths):
        raise InputError(
            f"{longer} of {len(tokens.lengths)} rows are longer than the model's context of {context} tokens (the "
            f"longest has {max(tokens.lengths)})",
            f"Set max_length: {context} or less, filter long rows out, or take a model with a longer context.",
        )
