"""One run of reinforcement learning from verifiable rewards: from a policy and its problems to a trained policy.

Guaranteed: every field of TRL that moves results is set from RlConfig; prompts come in an order that seed and
epoch decide; working checkpoints fall between generation rounds only, so a killed run that resumes ends with
the weights of one that was never killed (same machine, same number of processes).
Refused: batches that cannot be split evenly, too few problems for one round, rows without a gold answer, prompts
that fill the model's context, rewards that are not numbers, NaN.
GRPO: Shao et al., arXiv:2402.03300; RLOO: Ahmadian et al., arXiv:2402.14740.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from pipeline.engines.policy.folder import check_policy_folder, load_policy, load_tokenizer
from pipeline.engines.sampling.protocol import read_context, read_eos_token_ids
from pipeline.engines.training.arguments import check_attention
from pipeline.engines.training.log import TrainingLog, find_checkpoint, write_log
from pipeline.engines.training.parallel import count_processes
from pipeline.engines.training.problems import count_positions, read_problems, render_prompts
from pipeline.engines.training.rl_trainer import Publisher, build_trainer
from pipeline.engines.training.rollouts import RolloutRecorder
from pipeline.engines.training.rounds import RoundSplit, split_rounds
from pipeline.errors import InputError
from pipeline.stages.rl import RlConfig
from pipeline.store.job import Job

KEPT_ROUNDS = 3
"""Generation rounds at the end of a run whose rollouts are kept for a person to read."""


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
    problems = render_prompts(problems, tokenizer, config)
    checkpoint = find_checkpoint(job.work) or resume_from
    log = _open_log(job, config, split, last)
    eos = read_eos_token_ids(policy, tokenizer)
    rollouts = RolloutRecorder(
        job.work, config, eos_token_ids=eos, first_kept=last - KEPT_ROUNDS * split.cycle
    )
    load_model = lambda: load_policy(policy, attention=config.attention)[0]
    positions = count_positions(problems, tokenizer, config, read_context(policy))
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


def _open_log(job: Job, config: RlConfig, split: RoundSplit, last: int) -> TrainingLog:
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
