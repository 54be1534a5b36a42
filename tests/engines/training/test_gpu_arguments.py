"""What trainings on GPUs are told, looked at without GPUs: batches, engines, vLLM, the published studies' recipes."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

import pytest
from trl import GRPOConfig, RLOOConfig
from trl import SFTConfig as SftArguments

from pipeline.engines import rl, sft
from pipeline.engines.training import arguments as trainer_args
from pipeline.engines.training import rl_trainer
from pipeline.engines.training.parallel import check_devices, deepspeed_options, prepare_compiler
from pipeline.errors import InputError
from pipeline.plan.compiled import compile_plan
from pipeline.stages.base import Phase
from pipeline.stages.rl import RewardTerm, RlConfig
from pipeline.stages.sft import SftConfig
from pipeline.stages.training import Lora
from tests.support import ROOT

SFT = {"learning_rate": 1e-5, "epochs": 1, "batch_size": 128, "gpus": 8}
RL = {
    "algorithm": "grpo", "reward": (RewardTerm(name="accuracy"),), "steps": 4, "prompts_per_step": 64, "rollouts": 8,
    "max_new_tokens": 64, "learning_rate": 1e-6, "gpus": 8,
}  # fmt: skip


@pytest.fixture(autouse=True)
def no_gpus_needed(monkeypatch) -> None:
    """Leave out the look for GPUs; everything else is as on a node that has them."""
    monkeypatch.setattr(trainer_args, "check_devices", lambda config: None)


def describe(config: SftConfig | RlConfig, monkeypatch, output: Path) -> dict[str, Any]:
    monkeypatch.setenv("WORLD_SIZE", str(config.processes))
    if isinstance(config, SftConfig):
        return sft.describe_options(config, seed=1, output=output)
    split = rl.split_rounds(config, config.processes)
    return rl_trainer.describe_options(config, split, seed=1, output=output, positions=164)


def accept(config: SftConfig | RlConfig, arguments: dict[str, Any], monkeypatch) -> Any:
    """TRL's own configuration of these arguments, on this machine's CPU and without DeepSpeed's engine."""
    monkeypatch.delenv("WORLD_SIZE")
    algorithm = getattr(config, "algorithm", "sft")
    kind = {"sft": SftArguments, "grpo": GRPOConfig, "rloo": RLOOConfig}[algorithm]
    return kind(**arguments | {"use_cpu": True, "deepspeed": None})


def studied_trainings(name: str) -> list[SftConfig | RlConfig]:
    plan = compile_plan([ROOT / "specs" / f"{name}.yaml"], results=Path("results"))
    return [settled.config for settled in plan.settled if settled.stage in ("sft", "rl")]


@pytest.mark.parametrize("name", ["long_cot_valley", "powered_length_penalty", "open_rs", "dual_phase"])
def test_trl_takes_every_training_of_the_published_studies_and_batches_are_as_said(
    name, monkeypatch, tmp_path
):
    trainings = studied_trainings(name)
    assert trainings
    for config in trainings:
        arguments = describe(config, monkeypatch, tmp_path)
        options = accept(config, arguments, monkeypatch)
        update = options.per_device_train_batch_size * options.gradient_accumulation_steps * config.processes
        if isinstance(config, SftConfig):
            assert update == config.batch_size
            continue
        assert update == config.prompts_per_step * config.rollouts
        round_ = options.per_device_train_batch_size * options.steps_per_generation * config.processes
        assert round_ == update * config.updates_per_generation
        assert round_ % config.rollouts == 0
        assert options.vllm_mode == "colocate" and options.use_vllm
        assert options.vllm_max_model_length == 164


def test_eight_gpus_with_packing_get_a_global_batch_and_checkpointing_that_ddp_bears(monkeypatch, tmp_path):
    config = SftConfig(
        **SFT, micro_batch=2, packing="isolated", gradient_checkpointing=True, max_length=4_096
    )
    arguments = describe(config, monkeypatch, tmp_path)
    assert (arguments["per_device_train_batch_size"], arguments["gradient_accumulation_steps"]) == (2, 8)
    options = accept(config, arguments, monkeypatch)
    assert (
        options.bf16 and options.packing and options.packing_strategy == "bfd" and options.max_length == 4_096
    )
    assert options.gradient_checkpointing_kwargs == {"use_reentrant": False}
    assert options.ddp_find_unused_parameters is False and options.average_tokens_across_devices
    assert not arguments["use_cpu"] and arguments["dataloader_pin_memory"]


@pytest.mark.parametrize("algorithm", ["grpo", "rloo"])
def test_vllm_runs_beside_the_training_with_a_context_of_prompt_and_answer(algorithm, monkeypatch, tmp_path):
    chosen = {"algorithm": algorithm, "rollout_engine": "vllm", "vllm_tensor_parallel": 2, "vllm_sleep": True}
    config = RlConfig(**(RL | chosen), micro_batch=4, updates_per_generation=2)
    options = accept(config, describe(config, monkeypatch, tmp_path), monkeypatch)
    assert (options.use_vllm, options.vllm_mode, options.vllm_tensor_parallel_size) == (True, "colocate", 2)
    assert options.vllm_enable_sleep_mode and options.vllm_max_model_length == 164
    assert (options.gradient_accumulation_steps, options.steps_per_generation) == (16, 32)
    if algorithm == "grpo":
        assert options.vllm_importance_sampling_correction is False


@pytest.mark.parametrize(("name", "stage"), [("zero2", 2), ("zero3", 3)])
def test_deepspeed_takes_every_key_that_we_write(name, stage, monkeypatch):
    from deepspeed.runtime.config import DeepSpeedConfig

    monkeypatch.setenv("WORLD_SIZE", "8")
    config = SftConfig(**SFT, deepspeed=name, max_grad_norm=0.5)
    options = deepspeed_options(config, micro_batch=2, accumulation=8)
    known = DeepSpeedConfig(options | {"train_batch_size": 16})  # one process here
    assert known.zero_optimization_stage == stage
    assert known.bfloat16_config.enabled and known.gradient_clipping == 0.5
    assert known.zero_config.overlap_comm is True
    assert known.zero_config.gather_16bit_weights_on_model_save == (stage == 3)
    assert options["train_batch_size"] == 128


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"cpu_processes": 2}, "cpu_processes counts without GPUs only"),
        ({"gpus": 0, "attention": "flash_attention_2"}, "needs gpus"),
        ({"deepspeed": "zero3", "lora": Lora()}, "cannot be merged under deepspeed: zero3"),
        ({"schedule": "constant", "warmup": 0.1}, "would do nothing\nSet schedule: constant_with_warmup"),
    ],
)
def test_fields_that_exclude_each_other_are_refused_in_the_spec(changes, message):
    with pytest.raises(ValueError, match=message):
        SftConfig(**SFT | changes)


def test_a_warmup_that_a_phase_would_leave_out_is_refused_too():
    Phase(data=(0,), schedule="constant")
    with pytest.raises(ValueError, match=r"schedule constant has no warmup, so warmup 0\.2 would do nothing"):
        Phase(data=(0,), schedule="constant", warmup=0.2)


def test_vllm_copies_must_fill_the_gpus():
    with pytest.raises(ValueError, match="3 does not divide gpus 8"):
        RlConfig(**RL, rollout_engine="vllm", vllm_tensor_parallel=3)


def test_vllm_draws_rollouts_on_gpus_only():
    with pytest.raises(ValueError, match="rollout_engine vllm needs GPUs"):
        RlConfig(**RL | {"gpus": 0}, rollout_engine="vllm")


def test_who_draws_the_rollouts_is_content():
    one, other = RlConfig(**RL), RlConfig(**RL, rollout_engine="vllm")
    assert one.identity() != other.identity()


def test_only_the_lock_of_a_compilation_that_was_killed_is_removed(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("TORCH_EXTENSIONS_DIR", "")
    monkeypatch.delenv("TORCH_EXTENSIONS_DIR")
    killed, running = (
        tmp_path / "torch_extensions" / socket.gethostname() / name / "lock" for name in ("utils", "shm")
    )
    for lock in (killed, running):
        lock.parent.mkdir(parents=True)
        lock.touch()
    with running.open():
        prepare_compiler()
        assert running.exists() and not killed.exists()
    assert os.environ["TORCH_EXTENSIONS_DIR"] == str(killed.parents[1])


def test_too_few_gpus_and_too_few_processes_are_refused(monkeypatch):
    import torch

    with pytest.raises(InputError, match="8 GPUs are asked for and this machine shows"):
        check_devices(SftConfig(**SFT))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    with pytest.raises(InputError, match="8 GPUs are asked for and this machine shows 4"):
        check_devices(SftConfig(**SFT))
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 8)
    with pytest.raises(InputError, match="8 GPUs are asked for and 1 processes were started"):
        check_devices(SftConfig(**SFT))
    monkeypatch.setenv("WORLD_SIZE", "8")
    check_devices(SftConfig(**SFT))


def test_adapters_merged_beside_the_model_are_those_that_peft_merges_in_place():
    import torch
    from peft import get_peft_model

    from pipeline.engines.policy.publish import merge_adapters
    from pipeline.engines.tiny import build_model, build_tokenizer
    from pipeline.stages.base import TinyModel

    tokenizer = build_tokenizer()
    shape = TinyModel(hidden_size=16, layers=2, heads=2, intermediate_size=32, max_positions=64)
    plain = build_model(shape, len(tokenizer), tokenizer, seed=1)
    config = SftConfig(**SFT, lora=Lora(rank=4, alpha=8))
    model = get_peft_model(plain, trainer_args.build_lora(config))
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "lora_B" in name:
                weight.normal_(generator=torch.Generator().manual_seed(len(name)))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    merged = {name: value.clone() for name, value in merge_adapters(model).items()}
    assert all(value.equal(before[name]) for name, value in model.state_dict().items())
    theirs = model.merge_and_unload().state_dict()
    assert merged.keys() == theirs.keys()
    assert all(torch.allclose(merged[name], theirs[name], atol=1e-6) for name in theirs)
    name = "model.layers.0.self_attn.q_proj.weight"
    assert not merged[name].equal(before[f"base_model.model.{name.replace('.weight', '.base_layer.weight')}"])
