"""TRL's GRPO and RLOO trainers with every field that moves results set from RlConfig.

Two things are ours: rollouts come from our decode loop (finished ones cost nothing, and each follows
from seed, update and place in the round), and the order of prompts follows from seed and epoch.
TRL 1.16 is pinned: `_generate_single_turn` and `_get_train_sampler` are its private seams.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from transformers import PrinterCallback, Trainer, TrainerCallback
from trl import GRPOConfig, GRPOTrainer, RLOOConfig, RLOOTrainer
from trl.models import unwrap_model_for_generation
from trl.trainer.utils import RepeatSampler

from pipeline.engines.policy.publish import save_trained
from pipeline.engines.sampling.attention import check_architecture, grouped_attention
from pipeline.engines.sampling.decode_loop import generate
from pipeline.engines.sampling.protocol import Request, row_seed
from pipeline.engines.training.arguments import build_arguments, build_lora, settle_devices
from pipeline.engines.training.parallel import EngineCheck, EpochOrder, check_trainer
from pipeline.engines.training.rollouts import RolloutRecorder
from pipeline.engines.training.rounds import RoundSplit
from pipeline.stages.rl import RlConfig
from pipeline.store.job import Job


def build_trainer(
    job: Job,
    config: RlConfig,
    split: RoundSplit,
    load_model: Callable[[], Any],
    tokenizer: Any,
    problems: Dataset,
    rollouts: RolloutRecorder,
    *,
    positions: int,
    ends: list[int],
) -> _OwnRollouts:
    """The trainer with every field pinned that differs between versions of TRL or moves results."""
    options = build_options(
        config, split, seed=job.seed, output=job.work / "checkpoints", positions=positions
    )
    kind: Callable[..., _OwnRollouts] = _GrpoTrainer if config.algorithm == "grpo" else _RlooTrainer
    model = load_model()
    if config.rollout_engine == "transformers":
        check_architecture(model)
    trainer = kind(
        model=model,
        args=options,
        train_dataset=problems,
        processing_class=tokenizer,
        reward_funcs=rollouts.rewards,
        peft_config=build_lora(config),
    )
    trainer.positions, trainer.eos_token_ids = positions, ends
    if config.rollout_engine == "vllm":
        trainer.vllm_generation.generation_kwargs["stop_token_ids"] = ends
        trainer.seed_vllm()
    check_trainer(trainer, config)
    trainer.add_callback(EngineCheck(trainer, config))
    trainer.add_callback(EpochOrder)
    trainer.remove_callback(PrinterCallback)  # the log is in log.parquet; progress is in progress.json
    return trainer


def build_options(
    config: RlConfig, split: RoundSplit, *, seed: int, output: Path, positions: int
) -> GRPOConfig | RLOOConfig:
    """TRL's configuration; `positions` are those of the longest prompt and its answer."""
    arguments = describe_options(config, split, seed=seed, output=output, positions=positions)
    kind = GRPOConfig if config.algorithm == "grpo" else RLOOConfig
    return settle_devices(kind(**arguments), config)


def describe_options(
    config: RlConfig, split: RoundSplit, *, seed: int, output: Path, positions: int
) -> dict[str, Any]:
    """The keyword arguments of TRL's configuration."""
    arguments = build_arguments(
        config, seed=seed, output=output, micro_batch=split.micro_batch, accumulation=split.accumulation
    )
    arguments |= _shared(config, split)
    if config.rollout_engine == "vllm":
        arguments |= _vllm(config, positions)
    if config.algorithm == "grpo":
        return arguments | _grpo_only(config)
    return arguments | {"normalize_advantages": config.whiten_advantages}


def _vllm(config: RlConfig, positions: int) -> dict[str, Any]:
    """vLLM in the training processes, on their GPUs."""
    return {
        "vllm_mode": "colocate",
        "vllm_model_impl": "vllm",
        "vllm_gpu_memory_utilization": config.vllm_memory,
        "vllm_tensor_parallel_size": config.vllm_tensor_parallel,
        "vllm_enable_sleep_mode": config.vllm_sleep,
        # else vLLM wants a cache for the model's whole context (131,072 tokens of Qwen2.5), which does not fit
        "vllm_max_model_length": positions,
    }


def _shared(config: RlConfig, split: RoundSplit) -> dict[str, Any]:
    return {
        "max_steps": config.steps,
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
        "use_vllm": config.rollout_engine == "vllm",
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
        "entropy_coef": config.entropy,
        "use_adaptive_entropy": False,
        "off_policy_mask_threshold": None,
        # TRL's default drops sequences whose likelihoods under the kernels of sampling and training differ too much:
        # another objective than with rollout_engine transformers, and than RLOO, which has no such correction
        "vllm_importance_sampling_correction": False,
    }


class _OwnRollouts(Trainer):
    """What both trainers change: rollouts from our decode loop, an order of prompts that survives a resume."""

    args: GRPOConfig | RLOOConfig
    positions: int
    eos_token_ids: list[int]

    # what TRL's trainers set and transformers' Trainer does not have
    use_vllm: bool
    vllm_generation: Any
    temperature: float
    top_p: float
    max_completion_length: int | None

    def seed_vllm(self) -> None:
        """Have vLLM draw each rollout from the seed that our decode loop would give it.

        TRL starts vLLM with the process's number as its seed: all replicates of a study would share their draws, and
        a run that resumes would begin them anew.
        """
        llm = self.vllm_generation.llm
        generate = llm.generate
        group = self.accelerator.process_index // self.args.vllm_tensor_parallel_size

        def generate_seeded(prompts: list[Any], sampling_params: Any, **options: Any) -> Any:
            each = []
            for place in range(group * len(prompts), (group + 1) * len(prompts)):
                each.append(copy.copy(sampling_params))
                each[-1].seed = row_seed(self.args.seed, f"update {self.state.global_step}", place)
            return generate(prompts, sampling_params=each, **options)

        llm.generate = generate_seeded

    def _is_sampled_by_us(self) -> bool:
        return not self.use_vllm

    def _sample_rollouts(self, prompt_ids: list[list[int]]) -> list[list[int]]:
        """Token ids of one completion per prompt, EOS included; each seed follows from the place in the round."""
        first = self.accelerator.process_index * len(prompt_ids)
        update = f"update {self.state.global_step}"
        longest = self.max_completion_length or self.positions
        requests = [
            Request(
                i,
                tuple(ids),
                row_seed(self.args.seed, update, first + i),
                min(longest, self.positions - len(ids)),
                f"rollout {first + i} of {update}",
            )
            for i, ids in enumerate(prompt_ids)
        ]
        with self._whole_model() as model, torch.no_grad(), self.accelerator.autocast():
            model.eval()
            with grouped_attention(model):
                done = list(  # all of it here: afterwards the model trains again and may be in parts
                    generate(
                        model,
                        requests,
                        eos=self.eos_token_ids,
                        batch_size=len(requests),
                        temperature=self.temperature,
                        top_p=self.top_p,
                    )
                )
            model.train()
        found = {r.position: [*r.token_ids, *([] if r.end_token is None else [r.end_token])] for r in done}
        return [found[i] for i in range(len(requests))]

    def _whole_model(self) -> AbstractContextManager[Any]:
        """The model with all its weights in this process: ZeRO-3 gathers them for as long as rollouts are generated."""
        if self.is_deepspeed_enabled and self.accelerator.state.deepspeed_plugin.zero_stage == 3:
            return unwrap_model_for_generation(self.model_wrapped, self.accelerator)
        return nullcontext(self.accelerator.unwrap_model(self.model))

    def _get_train_sampler(self, dataset: Any = None) -> Any:
        theirs = super()._get_train_sampler(dataset)
        assert isinstance(theirs, RepeatSampler)
        return _EpochSampler(
            theirs.data_source,
            theirs.mini_repeat_count,
            theirs.batch_size,
            theirs.repeat_count,
            True,
            theirs.seed,
        )

    def create_model_card(self, *arguments: Any, **options: Any) -> None:
        """Working checkpoints need no model card."""


class _GrpoTrainer(_OwnRollouts, GRPOTrainer):
    def _generate_single_turn(self, prompt_ids: Any, *others: Any, **options: Any) -> Any:
        if self._is_sampled_by_us():
            return self._sample_rollouts(prompt_ids), None
        return super()._generate_single_turn(prompt_ids, *others, **options)


class _RlooTrainer(_OwnRollouts, RLOOTrainer):
    def _generate_single_turn(self, prompt_ids: Any, *others: Any, **options: Any) -> Any:
        if self._is_sampled_by_us():
            return self._sample_rollouts(prompt_ids)
        return super()._generate_single_turn(prompt_ids, *others, **options)


class _EpochSampler(RepeatSampler):
    """TRL's sampler whose order follows from seed and epoch (its own continues one generator, lost on resume)."""

    seed: int
    epoch = 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __iter__(self) -> Any:
        self.generator.manual_seed(self.seed + 1_000_003 * self.epoch)
        return super().__iter__()


class Publisher(TrainerCallback):
    """Publishes the policy of each step asked for, and ends the run after its last step."""

    def __init__(
        self,
        trainer: Any,
        tokenizer: Any,
        config: RlConfig,
        folder: Path,
        *,
        start: Path,
        steps: tuple[int, ...],
        last: int,
    ) -> None:
        self.trainer, self.tokenizer, self.config, self.folder = trainer, tokenizer, config, folder
        self.start, self.steps, self.last = start, frozenset(steps), last

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
        save_trained(self.trainer, self.tokenizer, target, self.config, start=self.start)
