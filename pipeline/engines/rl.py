"""Reinforcement learning from verifiable rewards with TRL's GRPOTrainer and RLOOTrainer.

Guaranteed: every field of TRL that moves results is set from RlConfig; prompts come in an order that seed and
epoch decide; working checkpoints fall between generation rounds only, so a killed run that resumes ends with
the weights of one that was never killed (same machine, same number of processes).
Refused: batches that cannot be split evenly, too few problems for one round, rows without a gold answer,
rewards that are not numbers, NaN, vLLM rollouts without GPUs.
GRPO: Shao et al., arXiv:2402.03300; RLOO: Ahmadian et al., arXiv:2402.14740.
"""

from __future__ import annotations

import copy
import math
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.engines.policy import load_policy, quiet_libraries, save_policy
from pipeline.errors import InputError, StageError
from pipeline.job import Job
from pipeline.stages.rl import RlConfig

quiet_libraries()

import torch  # noqa: E402
from datasets import Dataset  # noqa: E402
from transformers import TrainerCallback  # noqa: E402
from trl import GRPOConfig, GRPOTrainer, RLOOConfig, RLOOTrainer  # noqa: E402
from trl.trainer.utils import RepeatSampler  # noqa: E402

from pipeline import rewards as catalogue  # noqa: E402
from pipeline.engines.trainer_args import build_arguments, build_lora, count_processes, split_batch  # noqa: E402
from pipeline.engines.trainer_log import TrainingLog, find_checkpoint, write_log  # noqa: E402

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
    model, tokenizer = load_policy(policy)
    checkpoint = find_checkpoint(job.work) or resume_from
    log = TrainingLog(
        work=job.work,
        progress=lambda step, _, metrics: job.progress(step, last, "updates", **_shown(metrics)),
        save_every_minutes=config.save_every_minutes,
        save_multiple=split.cycle,
        kind="RL",
    )
    rollouts = _Rollouts(job.work, config, first_kept=last - KEPT_ROUNDS * split.cycle)
    trainer = _build_trainer(job, config, split, model, tokenizer, problems, rollouts)
    publisher = _Publisher(trainer, tokenizer, config, job.folder, save_steps, last)
    trainer.add_callback(publisher)
    trainer.add_callback(log)
    started = time.monotonic()
    try:
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    finally:
        log.close()
    log.raise_if_stopped()
    seconds = time.monotonic() - started
    publisher.publish(job.folder / "model")
    metrics = {}
    if trainer.is_world_process_zero():
        metrics = write_log(job.work, job.folder / "log.parquet")
        rollouts.publish(job.folder / "rollouts.parquet")
    return _facts(metrics, config, last, _step_of(checkpoint), seconds)


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
    micro_batch, accumulation = split_batch(rollouts, config.micro_batch)
    if config.algorithm == "grpo" and config.loss == "bnpo" and (accumulation > 1 or processes > 1):
        raise InputError(
            "loss bnpo divides by the tokens of each device's pass, so splitting an update would change its result",
            "Leave micro_batch out and train in one process, or use loss dapo (the same over the whole update).",
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
    bare = frame.filter(pl.col("answer").is_null() | (pl.col("answer").cast(pl.String).str.strip_chars() == ""))
    if not bare.is_empty():
        raise InputError(
            f"{rows}: row {bare['id'][0]!r} has no gold answer ({bare.height} of {frame.height} rows have none)",
            "Filter such rows out: a reward could not judge them.",
        )
    distinct = frame["problem"].n_unique()
    if distinct < split.prompts:
        raise InputError(
            f"{rows}: {distinct} distinct problems, and one round of generation takes {split.prompts} "
            f"(prompts_per_step {config.prompts_per_step} x updates_per_generation {config.updates_per_generation})",
            "Use more data, or lower prompts_per_step.",
        )
    frame = frame.unique("problem", keep="first", maintain_order=True)
    reserved = ("prompt", "completion", "completions", "prompts", "completion_ids", "solution")
    columns = {name: frame[name].to_list() for name in frame.columns if name not in reserved}
    prompts = [config.prompt.messages(problem) for problem in columns["problem"]]
    return Dataset.from_dict({"prompt": prompts, "solution": columns["answer"], **columns})


def _check_request(config: RlConfig, last: int, save_steps: tuple[int, ...]) -> None:
    if not 1 <= last <= config.steps:
        raise InputError(f"stop_after {last} is not between 1 and {config.steps} steps", "Choose a step of the run.")
    if beyond := [step for step in save_steps if not 1 <= step <= last]:
        raise InputError(f"checkpoint {beyond[0]} is not between 1 and {last} steps", "Remove it, or train longer.")
    if config.rollout_engine == "vllm" and config.gpus == 0:
        raise InputError(
            "rollout_engine vllm needs GPUs: vLLM's CPU build repacks the weights, so new ones cannot be loaded",
            "Set rollout_engine: transformers, or gpus to the number of GPUs.",
        )


def _build_trainer(
    job: Job, config: RlConfig, split: Split, model: Any, tokenizer: Any, problems: Dataset, rollouts: _Rollouts
) -> Any:
    """The trainer with every field pinned that differs between versions of TRL or moves results."""
    arguments = build_arguments(config, seed=job.seed, output=job.work / "checkpoints") | _shared(config, split)
    if config.algorithm == "grpo":
        kind, options = _Grpo, GRPOConfig(**arguments, **_grpo_only(config))
    else:
        kind, options = _Rloo, RLOOConfig(**arguments, normalize_advantages=config.whiten_advantages)
    return kind(
        model=model,
        args=options,
        train_dataset=problems,
        processing_class=tokenizer,
        reward_funcs=rollouts.rewards,
        peft_config=build_lora(config),
    )


def _shared(config: RlConfig, split: Split) -> dict[str, Any]:
    on_vllm = config.rollout_engine == "vllm"
    return {
        "max_steps": config.steps,
        "per_device_train_batch_size": split.micro_batch,
        "gradient_accumulation_steps": split.accumulation,
        "steps_per_generation": split.passes,
        "num_generations": config.rollouts,
        "num_iterations": config.iterations,
        "max_completion_length": config.max_new_tokens,
        "temperature": config.temperature,
        "top_p": config.top_p,
        "top_k": 0,
        "min_p": None,
        "repetition_penalty": 1.0,
        "beta": config.kl,
        "epsilon": config.clip,
        "epsilon_high": config.clip_high,
        "reward_weights": [term.weight for term in config.reward],
        "mask_truncated_completions": config.mask_truncated,
        "shuffle_dataset": True,
        "disable_dropout": False,
        "sync_ref_model": False,
        "log_completions": False,
        "use_vllm": on_vllm,
        **({"vllm_mode": "colocate", "vllm_gpu_memory_utilization": config.vllm_memory} if on_vllm else {}),
    }


def _grpo_only(config: RlConfig) -> dict[str, Any]:
    return {
        "loss_type": config.loss,
        "scale_rewards": config.scale_rewards,
        "importance_sampling_level": "token",
        "multi_objective_aggregation": "sum_then_normalize",
        "use_bias_correction_kl": False,  # the k3 estimator as in eq. 4 of the GRPO paper
        "delta": None,
        "top_entropy_quantile": 1.0,
        "entropy_coef": 0.0,
        "off_policy_mask_threshold": None,
    }


class _Ordered:
    """What both trainers change: an order of prompts that survives a resume, and no model cards."""

    def _get_train_sampler(self, dataset: Any = None) -> Any:
        sampler = super()._get_train_sampler(dataset)
        return _EpochSampler(
            sampler.data_source, sampler.mini_repeat_count, sampler.batch_size, sampler.repeat_count, True, sampler.seed
        )

    def create_model_card(self, *arguments: Any, **options: Any) -> None:
        """Working checkpoints need no model card."""


class _Grpo(_Ordered, GRPOTrainer):
    pass


class _Rloo(_Ordered, RLOOTrainer):
    pass


class _EpochSampler(RepeatSampler):
    """TRL's sampler whose order follows from seed and epoch (its own continues one generator, lost on resume)."""

    epoch = 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __iter__(self) -> Any:
        self.generator.manual_seed(self.seed + 1_000_003 * self.epoch)
        return super().__iter__()


class _Publisher(TrainerCallback):
    """Publishes the policy of each step asked for, and ends the run after its last step."""

    def __init__(
        self, trainer: Any, tokenizer: Any, config: RlConfig, folder: Path, steps: tuple[int, ...], last: int
    ) -> None:
        self.trainer, self.tokenizer, self.config, self.folder = trainer, tokenizer, config, folder
        self.steps, self.last = frozenset(steps), last

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> Any:
        if state.global_step in self.steps:
            target = self.folder / "steps" / str(state.global_step) / "model"
            if not target.exists():  # else an earlier attempt came this far and left the same weights
                self.publish(target)
        if state.global_step >= self.last:
            control.should_training_stop = True
        return control

    def publish(self, target: Path) -> None:
        """Save the current weights in the training precision, adapters merged, without touching the trained model."""
        trainer, config = self.trainer, self.config
        model = trainer.accelerator.unwrap_model(trainer.model)
        if config.lora is not None:
            model = copy.deepcopy(model).merge_and_unload()
        zero3 = config.deepspeed == "zero3"
        state = trainer.accelerator.get_state_dict(trainer.model_wrapped) if zero3 else model.state_dict()
        if trainer.is_world_process_zero():
            dtype = torch.bfloat16 if config.precision == "bf16" else torch.float32
            save_policy(_copy_model(model, state, dtype), self.tokenizer, target)


def _copy_model(model: Any, state: dict[str, Any], dtype: torch.dtype) -> Any:
    """A model of the same architecture on the CPU that holds `state` in `dtype`."""
    with torch.random.fork_rng(devices=[]), torch.device("meta"):
        copied = type(model)(copy.deepcopy(model.config)).to(dtype)
    weights = {name: value.detach().to("cpu", dtype, copy=True) for name, value in state.items()}
    copied.load_state_dict(weights, assign=True)
    copied.tie_weights()
    copied.generation_config = copy.deepcopy(model.generation_config)
    return copied


class _Rollouts:
    """Calls the catalogue's rewards, refuses what is no number, and keeps the last rounds' rollouts."""

    def __init__(self, work: Path, config: RlConfig, *, first_kept: int) -> None:
        self.work, self.first_kept = work, first_kept
        names = [term.name for term in config.reward]
        self.names = [f"{n}_{i}" if names.count(n) > 1 else n for i, n in enumerate(names)]
        terms = zip(self.names, config.reward, strict=True)
        self.rewards = [self._watch(name, catalogue.build(term.name, term.params)) for name, term in terms]
        self._columns: dict[str, list[Any]] = {}

    def _watch(self, name: str, reward: Any) -> Any:
        def judge(prompts: list[Any], completions: list[Any], **columns: Any) -> list[float | None]:
            values = reward(prompts=prompts, completions=completions, **columns)
            for value, row in zip(values, columns["id"], strict=True):
                if value is not None and not math.isfinite(value):
                    raise StageError(
                        f"reward {name!r} gave {value} for a response to {row!r}",
                        "A reward must give finite numbers, or None where it cannot judge; mend the reward.",
                    )
            self._keep(name, values, completions, columns)
            return values

        judge.__name__ = name
        return judge

    def _keep(self, name: str, values: list[Any], completions: list[Any], columns: dict[str, Any]) -> None:
        step = columns["trainer_state"].global_step
        if step < self.first_kept or os.environ.get("RANK", "0") != "0":
            return
        if name == self.names[0]:
            self._columns = {
                "step": [step] * len(values),
                "problem_id": list(columns["id"]),
                "problem": list(columns["problem"]),
                "answer": [str(answer) for answer in columns["answer"]],
                "response": [completion[0]["content"] for completion in completions],
                "n_tokens": [len(ids) for ids in columns["completion_ids"]],
            }
        self._columns[f"reward_{name}"] = [None if value is None else float(value) for value in values]
        if name == self.names[-1]:
            import polars as pl

            scratch = self.work / f".rollouts-{os.getpid()}"
            pl.DataFrame(self._columns).write_parquet(scratch)
            os.replace(scratch, self.work / f"rollouts-{step:08d}.parquet")

    def publish(self, target: Path) -> None:
        """Leave the kept rounds as one file: step, problem, response, n_tokens and each reward."""
        import polars as pl

        paths = sorted(self.work.glob("rollouts-*.parquet"))
        scratch = target.with_name(f".{target.name}-{os.getpid()}")
        pl.concat([pl.read_parquet(path) for path in paths], how="diagonal_relaxed").write_parquet(scratch)
        os.replace(scratch, target)


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
