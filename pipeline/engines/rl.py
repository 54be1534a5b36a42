"""Reinforcement learning from verifiable rewards with TRL's GRPOTrainer and RLOOTrainer.

Guaranteed: every field of TRL that moves results is set from RlConfig; prompts come in an order that seed and
epoch decide; working checkpoints fall between generation rounds only, so a killed run that resumes ends with
the weights of one that was never killed (same machine, same number of processes).
Refused: batches that cannot be split evenly, too few problems for one round, rows without a gold answer, prompts
that fill the model's context, rewards that are not numbers, NaN.
GRPO: Shao et al., arXiv:2402.03300; RLOO: Ahmadian et al., arXiv:2402.14740.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.engines.policy.folder import (
    apply_template,
    asks_for_today,
    check_policy_folder,
    load_policy,
    load_tokenizer,
    quiet_libraries,
    render_prompt,
)
from pipeline.errors import InputError
from pipeline.stages.rl import RlConfig
from pipeline.store.job import Job

quiet_libraries()

from datasets import Dataset  # noqa: E402

from pipeline.engines.sampling.protocol import read_context, read_eos_token_ids  # noqa: E402
from pipeline.engines.training.arguments import check_attention, split_batch  # noqa: E402
from pipeline.engines.training.log import TrainingLog, find_checkpoint, write_log  # noqa: E402
from pipeline.engines.training.parallel import count_processes  # noqa: E402
from pipeline.engines.training.rl_trainer import Publisher, build_trainer  # noqa: E402
from pipeline.engines.training.rollouts import Rollouts  # noqa: E402

KEPT_ROUNDS = 3
"""Generation rounds at the end of a run whose rollouts are kept for a person to read."""


def run(job: Job) -> dict[str, Any]:
    """Train on inputs `policy` and `data`; leaves model/, steps/<n>/model/ and log.parquet."""
    return train(
        job,
        job.config,
        policy=job.one("policy") / "model",
        rows=job.one("data") / "rows.parquet",
        save_steps=tuple(job.hints.get("checkpoints", ())),
    )


def train(
    job: Job,
    config: RlConfig,
    *,
    policy: Path,
    rows: Path,
    save_steps: tuple[int, ...] = (),
    stop_after: int | None = None,
    resume_from: Path | None = None,
) -> dict[str, Any]:
    """Train `policy` on the problems of `rows` (rows.parquet); returns the measured facts.

    Leaves in job.folder: model/, steps/<n>/model/ for each n of `save_steps`, log.parquet, rollouts.parquet.
    `stop_after` ends the run after that update under the schedule of all `config.steps` (model/ is then the
    policy of that update); `resume_from` is a checkpoint folder to begin from where the job has none itself.
    """
    last = config.steps if stop_after is None else stop_after
    _check_request(config, last, save_steps)
    split = split_rounds(config, count_processes())
    problems = read_problems(rows, config, split)
    check_policy_folder(policy)
    check_attention(config)
    tokenizer = load_tokenizer(policy)
    if config.prompt.think_prefill != "as_template" or asks_for_today(tokenizer):
        problems = problems.map(_write_out, fn_kwargs={"tokenizer": tokenizer, "config": config})
    checkpoint = find_checkpoint(job.work) or resume_from
    log = _open_log(job, config, split, last)
    eos = read_eos_token_ids(policy, tokenizer)
    rollouts = Rollouts(job.work, config, eos_token_ids=eos, first_kept=last - KEPT_ROUNDS * split.cycle)
    load_model = lambda: load_policy(policy, attention=config.attention)[0]
    positions = _count_positions(problems, tokenizer, config, read_context(policy))
    trainer = build_trainer(
        job, config, split, load_model, tokenizer, problems, rollouts, positions=positions, ends=eos
    )
    publisher = Publisher(trainer, tokenizer, config, job.folder, start=policy, steps=save_steps, last=last)
    trainer.add_callback(publisher)
    trainer.add_callback(log)
    seconds = _run(trainer, log, checkpoint)
    publisher.publish(job.folder / "model")
    metrics = {}
    if trainer.is_world_process_zero():
        metrics = write_log(job.work, job.folder / "log.parquet")
        rollouts.publish(job.folder / "rollouts.parquet")
    return _facts(metrics, config, last, _step_of(checkpoint), seconds)


def _open_log(job: Job, config: RlConfig, split: Split, last: int) -> TrainingLog:
    return TrainingLog(
        work=job.work,
        progress=lambda step, _, metrics: job.progress(step, last, "updates", **_shown(metrics)),
        save_every_minutes=config.save_every_minutes,
        save_multiple=split.cycle,
        last_step=last,
        kind="RL",
    )


def _run(trainer: Any, log: TrainingLog, checkpoint: Path | None) -> float:
    """Train to the end or to a stop signal (StageError); the seconds that it took."""
    started = time.monotonic()
    try:
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    finally:
        log.close()
    log.raise_if_stopped()
    return time.monotonic() - started


@dataclass(frozen=True)
class Split:
    """How one round of generation is cut into passes.

    A round holds `prompts` distinct problems; each process takes `micro_batch` rollouts per pass,
    `accumulation` passes make one update, `passes` passes use the round up once, and `cycle` updates
    (passes over it counted) use it up wholly.
    """

    micro_batch: int
    accumulation: int
    passes: int
    prompts: int
    cycle: int


def split_rounds(config: RlConfig, processes: int) -> Split:
    """One update takes prompts_per_step x rollouts completions, over all processes; refuses uneven splits."""
    rollouts = config.prompts_per_step * config.rollouts
    micro_batch, accumulation = split_batch(rollouts, config.loss_batch or config.micro_batch)
    if config.loss_batch is not None and micro_batch != config.loss_batch:
        raise InputError(
            f"loss_batch {config.loss_batch} is more than the {micro_batch} rollouts that each of {processes} processes "
            "takes per update",
            "Train on fewer GPUs, or raise prompts_per_step.",
        )
    updates = config.updates_per_generation
    return Split(
        micro_batch=micro_batch,
        accumulation=accumulation,
        passes=accumulation * updates,
        prompts=config.prompts_per_step * updates,
        cycle=updates * config.iterations,
    )


def read_problems(rows: Path, config: RlConfig, split: Split) -> Dataset:
    """The data set as TRL takes it: prompt (chat), answer and solution (both the gold), id, other columns."""
    import polars as pl

    if not rows.is_file():
        raise InputError(f"{rows}: there is no such file", "Make the data set first.")
    frame = pl.read_parquet(rows)
    if missing := [name for name in ("id", "problem", "answer") if name not in frame.columns]:
        raise InputError(f"{rows}: column {missing[0]} is missing", "RL needs id, problem and answer.")
    bare = frame.filter(
        pl.col("answer").is_null() | (pl.col("answer").cast(pl.String).str.strip_chars() == "")
    )
    if not bare.is_empty():
        raise InputError(
            f"{rows}: row {bare['id'][0]!r} has no gold answer ({bare.height} of {frame.height} rows have none)",
            "Filter such rows out: a reward could not judge them.",
        )
    if empty := frame["problem"].null_count():
        raise InputError(f"{rows}: {empty} of {frame.height} rows have no problem", "Filter such rows out.")
    distinct = frame["problem"].n_unique()
    if distinct < split.prompts:
        raise InputError(
            f"{rows}: {distinct} distinct problems, and one round of generation takes {split.prompts} "
            f"(prompts_per_step {config.prompts_per_step} x updates_per_generation {config.updates_per_generation})",
            "Use more data, or lower prompts_per_step.",
        )
    frame = frame.unique("problem", keep="first", maintain_order=True)
    reserved = (
        "prompt",
        "completion",
        "completions",
        "prompts",
        "completion_ids",
        "solution",
        "image",
        "images",
    )
    columns = {name: frame[name].to_list() for name in frame.columns if name not in reserved}
    prompts = [config.prompt.messages(problem) for problem in columns["problem"]]
    return Dataset.from_dict({"prompt": prompts, "solution": columns["answer"], **columns})


def _write_out(row: dict[str, Any], tokenizer: Any, config: RlConfig) -> dict[str, str]:
    """The prompt as text, where it is not just what the chat template gives; TRL adds special tokens to a text."""
    text = render_prompt(tokenizer, config.prompt, row["prompt"])
    begin = tokenizer.bos_token
    if begin and tokenizer("")["input_ids"][:1] == [tokenizer.bos_token_id]:
        text = text.removeprefix(begin)
    return {"prompt": text}


def _count_positions(problems: Dataset, tokenizer: Any, config: RlConfig, context: int) -> int:
    """Positions that a rollout may fill: the longest prompt as TRL makes it and a whole answer, within the context."""
    texts = [
        prompt if isinstance(prompt, str) else apply_template(tokenizer, prompt, add_generation_prompt=True)
        for prompt in problems["prompt"]
    ]
    lengths = [len(ids) for ids in tokenizer(texts)["input_ids"]]
    longest = max(lengths)
    if longest >= context:
        raise InputError(
            f"problem {problems['id'][lengths.index(longest)]!r}: its prompt has {longest} tokens and the model's "
            f"context {context}",
            "Filter such problems out, or use a model with a longer context.",
        )
    return min(longest + config.max_new_tokens, context)


def _check_request(config: RlConfig, last: int, save_steps: tuple[int, ...]) -> None:
    if not 1 <= last <= config.steps:
        raise InputError(
            f"stop_after {last} is not between 1 and {config.steps} steps", "Choose a step of the run."
        )
    if beyond := [step for step in save_steps if not 1 <= step <= last]:
        raise InputError(
            f"checkpoint {beyond[0]} is not between 1 and {last} steps", "Remove it, or train longer."
        )


def _shown(metrics: dict[str, float]) -> dict[str, float]:
    return {name: metrics[name] for name in ("reward", "loss") if name in metrics}


def _step_of(checkpoint: Path | None) -> int:
    return int(checkpoint.name.rpartition("-")[2]) if checkpoint else 0


def _facts(
    metrics: dict[int, dict[str, float]], config: RlConfig, last: int, first: int, seconds: float
) -> dict[str, Any]:
    """Counts of the whole run, and the speed of this attempt."""
    rounds = [row for row in metrics.values() if "completions/mean_length" in row]
    per_round = config.prompts_per_step * config.rollouts * config.updates_per_generation
    return {
        "steps": last,
        "resumed_at_step": first,
        "processes": count_processes(),
        "rollouts": per_round * len(rounds),
        "generated_tokens": round(per_round * sum(row["completions/mean_length"] for row in rounds)),
        "first_reward": rounds[0].get("reward") if rounds else None,
        "final_reward": rounds[-1].get("reward") if rounds else None,
        "final_mean_length": rounds[-1]["completions/mean_length"] if rounds else None,
        "training_seconds": round(seconds, 2),
        "steps_per_second": round((last - first) / max(seconds, 1e-9), 4),
    }
