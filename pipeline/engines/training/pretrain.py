"""Pretraining a tiny policy from scratch, phase by phase; a finished phase is kept for the next attempt.

TRL is imported by the first phase that is trained: it takes seconds, and a policy without phases needs none of it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pipeline.engines.policy.folder import save_policy
from pipeline.engines.policy.tiny import END, USER, build_model, build_tokenizer
from pipeline.errors import InputError
from pipeline.stages.base import Phase, TinyModel
from pipeline.stages.sft import SftConfig
from pipeline.store.atomic import write_atomically
from pipeline.store.job import Job


def make_policy(job: Job, config: TinyModel, *, data: tuple[Path, ...]) -> dict[str, Any]:
    """Initialise, pretrain phase by phase on `data` (data set folders), and save; returns facts per phase."""
    for phase in config.phases:
        if max(phase.data) >= len(data) or min(phase.data) < 0:
            raise InputError(
                f"a pretraining phase names data input {max(phase.data)} and there are {len(data)}",
                "Count the inputs from 0.",
            )
    tokenizer = build_tokenizer(config.tokenizer)
    if config.kind == "token_classification":
        tokenizer.cls_token, tokenizer.sep_token = USER, END  # an encoder's tokenizer has them
    model = build_model(config, len(tokenizer), tokenizer, seed=job.seed)
    facts: dict[str, Any] = {"parameters": model.num_parameters(), "vocabulary": len(tokenizer)}
    if config.phases:
        facts |= _pretrain(job, config, model, tokenizer, data)
    save_policy(model, tokenizer, job.folder / "model")
    return facts


def _pretrain(
    job: Job, config: TinyModel, model: Any, tokenizer: Any, data: tuple[Path, ...]
) -> dict[str, Any]:
    """Train phase by phase in place; leaves one log.parquet whose steps count through all phases."""
    from pipeline.engines.training.log import read_log, store_log

    facts: dict[str, Any] = {"pretraining_tokens": 0, "pretraining_seconds": 0.0}
    log: dict[int, dict[str, float]] = {}
    for index, phase in enumerate(config.phases):
        work = job.work / f"phase-{index}"
        found = _train_phase(
            job, _phase_settings(config, phase), model, tokenizer, work, index, [data[i] for i in phase.data]
        )
        facts["pretraining_tokens"] += int(found["tokens_per_epoch"] * phase.epochs)
        facts["pretraining_seconds"] += found["training_seconds"]
        facts[f"phase_{index}_loss"] = found["final_loss"]
        before = max(log, default=0)
        log |= {before + step: metrics | {"phase": index} for step, metrics in read_log(work).items()}
    store_log(log, job.folder / "log.parquet")
    return facts


def _train_phase(
    job: Job, settings: SftConfig, model: Any, tokenizer: Any, work: Path, index: int, data: list[Path]
) -> dict[str, Any]:
    """Train one phase, or load what it left in `work` when it was finished before."""
    from safetensors.torch import load_model, save_model

    from pipeline.engines.training.examples import read_examples, tokenize
    from pipeline.engines.training.sft import fit

    weights, facts_file = work / "weights.safetensors", work / "trained.json"
    if facts_file.exists():
        load_model(model, str(weights))
        return json.loads(facts_file.read_text())
    examples = [row for folder in data for row in read_examples(folder / "rows.parquet")]

    def progress(step: int, total: int, metrics: dict[str, float]) -> None:
        shown = {name: metrics[name] for name in ("loss",) if name in metrics}
        job.progress(step, total, "steps", phase=float(index), **shown)

    tokens = tokenize(examples, tokenizer, settings)
    _, facts = fit(
        lambda: model, tokenizer, tokens, settings, seed=job.seed + index, work=work, progress=progress
    )
    save_model(model, str(weights))
    write_atomically(facts_file, json.dumps(facts))
    return facts


def _phase_settings(config: TinyModel, phase: Phase) -> SftConfig:
    return SftConfig(
        epochs=phase.epochs,
        batch_size=phase.batch_size,
        learning_rate=phase.learning_rate,
        schedule=phase.schedule,
        warmup=0.0 if phase.schedule == "constant" else phase.warmup,
        weight_decay=phase.weight_decay,
        loss_on=phase.loss_on,
        max_length=config.max_positions,
        bucket_by_length=True,
        precision="fp32",
        prompt=config.prompt,
        save_every_minutes=config.save_every_minutes,
    )
