"""Reinforcement learning from verifiable rewards (TRL GRPOTrainer or RLOOTrainer)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

from pydantic import model_validator

from pipeline.fingerprint import Config, content, placement
from pipeline.prompt import Prompt
from pipeline.stages import Placement, Stage, Training, environment_of
from pipeline.stages._training import TrainingConfig, place_training


class RewardTerm(Config):
    """One reward of the catalogue with its weight and parameters."""

    name: str = content(describe="Name in the reward catalogue.")
    weight: float = content(1.0, describe="Factor of this reward in the sum.")
    params: dict[str, Any] = content({}, describe="The reward's own parameters, validated by its model.")


class RlConfig(TrainingConfig):
    """How a policy is trained on its own rollouts; every default of TRL that moves results is pinned here."""

    algorithm: Literal["grpo", "rloo"] = content(describe="Advantage estimator.")
    reward: tuple[RewardTerm, ...] = content(describe="Weighted sum of rewards.", min_length=1)
    steps: int = content(describe="Optimiser updates of the whole run.", ge=1)
    prompts_per_step: int = content(describe="Distinct prompts per optimiser update.", ge=1)
    rollouts: int = content(8, describe="Completions sampled per prompt (the group).", ge=2)
    updates_per_generation: int = content(
        1,
        describe="Optimiser updates that share one round of generation (prompts are split among them).",
        ge=1,
    )
    iterations: int = content(1, describe="Passes over each round of rollouts (mu of GRPO).", ge=1)
    temperature: float = content(1.0, describe="Sampling temperature of rollouts.", gt=0)
    top_p: float = content(1.0, describe="Nucleus mass of rollouts.", gt=0, le=1)
    max_new_tokens: int = content(describe="Tokens after which a rollout is cut.", ge=1)
    kl: float = content(0.0, describe="KL coefficient beta against the starting policy.", ge=0)
    clip: float = content(0.2, describe="PPO clip range epsilon.", gt=0)
    clip_high: float | None = content(None, describe="Upper clip range; equal to clip when absent.", gt=0)
    loss: Literal["grpo", "bnpo", "dapo", "dr_grpo"] = content(
        "grpo",
        describe="Token aggregation (GRPO only): the mean of each rollout's mean (grpo), the mean over the tokens of "
        "`loss_batch` rollouts (bnpo; verl's token-mean), over those of the whole update (dapo), or the sum over "
        "rollouts times max_new_tokens (dr_grpo).",
    )
    loss_batch: int | None = content(
        None,
        describe="Rollouts whose tokens share one mean, with loss bnpo and with an entropy bonus: what a device of "
        "the original took per pass. It settles micro_batch.",
        ge=1,
    )
    entropy: float = content(
        0.0, describe="Coefficient of the bonus for the mean entropy per token (GRPO only).", ge=0
    )
    scale_rewards: Literal["group", "batch", "none"] = content(
        "group", describe="What the advantage is divided by (GRPO only)."
    )
    whiten_advantages: bool = content(False, describe="Normalise advantages over the batch (RLOO only).")
    mask_truncated: bool = content(False, describe="Give cut-off rollouts no loss.")
    rollout_engine: Literal["transformers", "vllm"] = content(
        "transformers", describe="Who draws the rollouts; vllm runs colocated on the training GPUs."
    )
    prompt: Prompt = content(Prompt(), describe="How a problem becomes a prompt.")

    micro_batch: int | None = placement(
        None, describe="Rollouts per device and pass; the whole update when absent.", ge=1
    )
    vllm_tensor_parallel: int = placement(
        1, describe="GPUs that share one copy of the model in vLLM; a divisor of gpus.", ge=1
    )
    vllm_sleep: bool = placement(
        False, describe="Free vLLM's memory during updates, at the price of loading the weights each round."
    )
    vllm_memory: float = placement(0.3, describe="Share of GPU memory for colocated vLLM.", gt=0, lt=1)

    @model_validator(mode="after")
    def _loss_is_settled(self) -> RlConfig:
        if self.entropy and self.algorithm == "rloo":
            raise ValueError("entropy belongs to algorithm grpo; TRL's RLOO has no such term")
        is_needed = self.algorithm == "grpo" and (self.loss == "bnpo" or self.entropy > 0)
        if is_needed and self.loss_batch is None:
            cause = "loss: bnpo" if self.loss == "bnpo" else "entropy"
            raise ValueError(
                f"{cause} is a mean over the tokens of one pass of a device, so its size decides the result\n"
                "Set loss_batch to the rollouts per device and pass of the original, or take loss: dapo without entropy."
            )
        if self.loss_batch is not None and not is_needed:
            raise ValueError(
                "loss_batch means nothing here: it goes with algorithm grpo and loss: bnpo or entropy"
            )
        if self.loss_batch is not None and self.micro_batch not in (None, self.loss_batch):
            raise ValueError(
                f"micro_batch {self.micro_batch} contradicts loss_batch {self.loss_batch}: leave it out"
            )
        return self

    @model_validator(mode="after")
    def _is_even(self) -> RlConfig:
        rollouts = self.prompts_per_step * self.rollouts
        self.refuse_uneven("prompts_per_step × rollouts =", rollouts, self.loss_batch or self.micro_batch)
        return self

    @model_validator(mode="after")
    def _vllm_fits(self) -> RlConfig:
        if self.gpus % self.vllm_tensor_parallel:
            raise ValueError(
                f"vllm_tensor_parallel {self.vllm_tensor_parallel} does not divide gpus {self.gpus}"
            )
        if self.rollout_engine == "vllm" and self.gpus == 0:
            raise ValueError(
                "rollout_engine vllm needs GPUs: vLLM's CPU build repacks the weights, so new ones cannot be loaded\n"
                "Set gpus, or rollout_engine: transformers."
            )
        return self


def _place(config: RlConfig) -> Placement:
    return replace(place_training(config), environment=environment_of(config.rollout_engine))


def _slug(config: RlConfig, _: str) -> str:
    """The algorithm and its rewards: each one's name, or its initials where it has several words."""
    words = [term.name.split("_") for term in config.reward]
    short = [name[0] if len(name) == 1 else "".join(word[0] for word in name) for name in words]
    return f"{config.algorithm}-{'-'.join(short)}"


STAGE = Stage(
    name="rl",
    version=3,
    config=RlConfig,
    produces="policy",
    follows="sft",
    summary="Train a policy on its own rollouts.",
    place=_place,
    imports_torch=True,
    training=Training(
        slug=_slug,
        logs=("reward", "accuracy_reward", "tokens", "truncated", "kl", "loss"),
        has_rewards=True,
        has_checkpoints=True,
    ),
    is_in_status=True,
)
