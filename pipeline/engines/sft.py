"""Supervised fine-tuning with TRL's SFTTrainer.

Guaranteed: loss falls on the response only (unless `loss_on: all`), the same tokens as TRL's own preparation
gives; the batch order follows from the seed and the epoch alone, so a killed run that resumes ends with the
same weights as one that was never killed (same machine, same number of processes).
Refused: no rows, rows without a solution, rows whose whole response is cut off by max_length, chat templates that
drop or rewrite a response, rows beyond the model's context, NaN.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.engines.policy.folder import (
    apply_template,
    check_policy_folder,
    load_policy,
    load_tokenizer,
    quiet_libraries,
)
from pipeline.errors import InputError
from pipeline.prompt import Prompt
from pipeline.stages.sft import SftConfig
from pipeline.store.job import Job

quiet_libraries()

from datasets import Dataset, Features, List, Value  # noqa: E402
from transformers import PrinterCallback  # noqa: E402
from trl import SFTConfig as SftArguments  # noqa: E402

from pipeline.engines.policy.publish import save_trained  # noqa: E402
from pipeline.engines.sampling.protocol import read_context  # noqa: E402
from pipeline.engines.training.arguments import (  # noqa: E402
    build_arguments,
    build_lora,
    check_attention,
    settle_devices,
    split_batch,
)
from pipeline.engines.training.log import TrainingLog, find_checkpoint, write_log  # noqa: E402
from pipeline.engines.training.order import OrderedTrainer  # noqa: E402
from pipeline.engines.training.parallel import EngineCheck, EpochOrder, check_trainer, count_processes  # noqa: E402

_FEATURES = Features({"input_ids": List(Value("int32")), "labels": List(Value("int32"))})
_CHUNK = 1_000


@dataclass(frozen=True)
class Tokens:
    """Tokenised examples; `truncated` rows lost their end, `dropped` ones their whole response."""

    dataset: Dataset
    lengths: list[int]
    truncated: int
    dropped: int


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


def _check_context(tokens: Tokens, context: int) -> None:
    """Refuse rows beyond the positions that the model was made for: it would learn from places it cannot tell apart."""
    if longer := sum(length > context for length in tokens.lengths):
        raise InputError(
            f"{longer} of {len(tokens.lengths)} rows are longer than the model's context of {context} tokens (the "
            f"longest has {max(tokens.lengths)})",
            f"Set max_length: {context} or less, filter long rows out, or take a model with a longer context.",
        )


def fit(
    load_model: Callable[[], Any],
    tokenizer: Any,
    tokens: Tokens,
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
    model: Any, tokenizer: Any, tokens: Tokens, config: SftConfig, arguments: SftArguments, *, seed: int
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


def read_examples(rows: Path) -> list[tuple[str, str]]:
    """(problem, solution) of every row; InputError where there is none or a solution is missing."""
    import polars as pl

    if not rows.is_file():
        raise InputError(f"{rows}: there is no such file", "Make the data set first.")
    frame = pl.read_parquet(rows)
    if missing := {"problem", "solution"} - set(frame.columns):
        raise InputError(f"{rows}: column {sorted(missing)[0]} is missing", "SFT needs problem and solution.")
    if frame.is_empty():
        raise InputError(f"{rows}: the data set has no rows", "Check its filters and its number of rows.")
    empty = frame.filter(
        pl.col("solution").is_null()
        | (pl.col("solution").str.strip_chars() == "")
        | pl.col("problem").is_null()
    )
    if not empty.is_empty():
        raise InputError(
            f"{rows}: {len(empty)} of {len(frame)} rows have no solution to train on",
            "Filter them out, or take a data set that has solutions.",
        )
    return list(zip(frame["problem"].to_list(), frame["solution"].to_list(), strict=True))


def tokenize(examples: list[tuple[str, str]], tokenizer: Any, config: SftConfig) -> Tokens:
    """Apply the chat template and cut at max_length; labels are -100 where no loss falls."""
    import pyarrow as pa

    tables, lengths, truncated, dropped = [], [], 0, 0
    for first in range(0, len(examples), _CHUNK):
        ids, labels = [], []
        chunk, everything = examples[first : first + _CHUNK], config.loss_on == "all"
        for full, masked in _encode(chunk, tokenizer, config.prompt, everything=everything, first=first):
            truncated += len(full) > config.max_length
            full, masked = full[: config.max_length], masked[: config.max_length]
            if all(label == -100 for label in reversed(masked)):
                dropped += 1
                continue
            ids.append(full)
            labels.append(masked)
            lengths.append(len(full))
        arrays = [pa.array(column, pa.list_(pa.int32())) for column in (ids, labels)]
        tables.append(pa.table(arrays, names=["input_ids", "labels"]))
    if not lengths:
        raise InputError(
            f"max_length {config.max_length} cuts off the whole response of all {len(examples)} rows",
            "Raise max_length, or shorten the prompt.",
        )
    dataset = Dataset(pa.concat_tables(tables).cast(_FEATURES.arrow_schema))
    return Tokens(dataset, lengths, truncated, dropped)


def _encode(
    chunk: list[tuple[str, str]], tokenizer: Any, prompt: Prompt, *, everything: bool, first: int
) -> Iterator[tuple[list[int], list[int]]]:
    """(token ids, labels) of each example; the response begins where prompt and whole part (as in TRL).

    `first` is the number of the chunk's first row, from 0.
    """
    prompts = [prompt.messages(problem) for problem, _ in chunk]
    whole = [
        [*messages, {"role": "assistant", "content": solution}]
        for messages, (_, solution) in zip(prompts, chunk, strict=True)
    ]
    before = apply_template(tokenizer, prompts, add_generation_prompt=True)
    after = apply_template(tokenizer, whole)
    for row, (example, opening, chat) in enumerate(zip(chunk, before, after, strict=True), first):
        _check_response(row, example, opening, chat)
    before_ids = tokenizer(before, add_special_tokens=False)["input_ids"]
    after_ids = tokenizer(after, add_special_tokens=False)["input_ids"]
    for opening, full in zip(before_ids, after_ids, strict=True):
        common = _count_common(opening, full)
        yield full, full if everything else [-100] * common + full[common:]


def _count_common(one: Sequence[Any], other: Sequence[Any]) -> int:
    """Elements in which two sequences agree before they part."""
    for count, (a, b) in enumerate(zip(one, other, strict=False)):
        if a != b:
            return count
    return min(len(one), len(other))


def _check_response(row: int, example: tuple[str, str], opening: str, chat: str) -> None:
    """Refuse a chat whose template drops or rewrites part of the response (white space at its ends is its own).

    DeepSeek-R1's templates drop what stands before </think>, Qwen3's set its lines anew: the loss would fall on other
    tokens than the data has. A response may overlap the opening, where that ends in <think>.
    """
    problem, solution = example[0], example[1].strip()
    begin = len(opening) if chat.startswith(opening) else _count_common(opening, chat)
    if chat.find(solution, max(0, begin - len(solution))) < 0:
        raise InputError(
            f"row {row} ({problem[:40]!r}): the model's chat template does not keep the response {solution[:60]!r}…, "
            f"it writes {chat[begin:][:60]!r}…",
            "Take a model whose template keeps responses as they are (chat_template.jinja of a local folder), or "
            "bring the data into the form that the template writes.",
        )


def _measure(
    trainer: OrderedTrainer,
    tokens: Tokens,
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
