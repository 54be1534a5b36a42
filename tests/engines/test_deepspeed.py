"""Trainings in two CPU processes, started as the product starts them: DDP, ZeRO-2, ZeRO-3, kills, wrong engines."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pytest
from safetensors.torch import load_file

from pipeline.errors import StageError
from pipeline.execute import execute
from pipeline.plan.frozen import FrozenPlan, code_digest, snapshot_code
from pipeline.record import read_record, write_record
from pipeline.stages.rl import RlConfig
from pipeline.stages.sft import SftConfig

ROOT = Path(__file__).parents[2]
NEEDS_COMPILER = pytest.mark.skipif(
    not (shutil.which("g++") and (shutil.which("ninja") or (Path(sys.executable).parent / "ninja").exists())),
    reason="DeepSpeed compiles its CPU communication with g++ and ninja, and one of them is absent",
)
pytestmark = [pytest.mark.slow, NEEDS_COMPILER, pytest.mark.xdist_group("deepspeed")]

SFT = {"learning_rate": 1e-2, "epochs": 3, "batch_size": 4, "max_length": 200, "precision": "fp32"}
RL = {
    "algorithm": "grpo", "reward": [{"name": "accuracy"}, {"name": "soft_overlong", "params": {"max_length": 16, "cache": 15}}],
    "steps": 3, "prompts_per_step": 2, "rollouts": 4, "max_new_tokens": 12, "learning_rate": 1e-2, "precision": "fp32",
}  # fmt: skip


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> Path:
    """A folder of results with a policy and data that are done, and the package as jobs run it."""
    from pipeline.engines.policy import save_policy
    from pipeline.engines.tiny import build_model, build_tokenizer
    from pipeline.generators import chains
    from pipeline.stages.base import TinyModel

    folder = tmp_path_factory.mktemp("results")
    shape = TinyModel(hidden_size=32, layers=2, heads=4, kv_heads=2, intermediate_size=64, max_positions=256)
    tokenizer = build_tokenizer()
    model = build_model(shape, len(tokenizer) + 9, tokenizer, seed=1)
    model.generation_config.eos_token_id = [tokenizer.eos_token_id, *range(20, 40)]
    save_policy(model, tokenizer, folder / "base" / "policy" / "model")
    data = folder / "source" / "rows"
    data.mkdir(parents=True)
    pl.DataFrame(chains.generate(chains.Params(), 16, 1)).write_parquet(data / "rows.parquet")
    for done in (folder / "base" / "policy", data):
        write_record(done, {})
    snapshot_code(folder, code_digest())
    return folder


def make_plan(results: Path, key: str, config: SftConfig | RlConfig) -> FrozenPlan:
    """A frozen plan of one training."""
    stage = "sft" if isinstance(config, SftConfig) else "rl"
    shared = {"version": 1, "identity": {}, "environment": "training", "config": {}}
    inputs = {"policy": ["policy"], "data": ["rows"]}
    content = {
        "format": 1, "site": {"results": str(results)}, "code": code_digest(), "commit": "unknown", "requests": {},
        "configs": [shared | {"stage": "base"}, shared | {"stage": "source"}, shared | {"stage": stage, "config": config.model_dump(mode="json")}],
        "artifacts": {"policy": [0, 0, {}, "", {}], "rows": [1, 0, {}, "", {}], key: [2, 3, inputs, key, {"checkpoints": [2]} if stage == "rl" else {}]},
    }  # fmt: skip
    path = results / "plans" / f"{key}.json"
    path.write_text(json.dumps(content))
    return FrozenPlan(content, path)


def train(results: Path, key: str, config: SftConfig | RlConfig) -> Path:
    plan = make_plan(results, key, config)
    execute(plan, key)
    return plan.folder(key)


def largest_difference(one: Path, two: Path) -> float:
    a, b = (load_file(folder / "model" / "model.safetensors") for folder in (one, two))
    assert a.keys() == b.keys()
    return max((a[name] - b[name]).abs().max().item() for name in a)


@pytest.fixture(scope="module")
def alone(results) -> Path:
    return train(results, "alone", SftConfig(**SFT))


SPREAD = {
    "ddp": {"cpu_processes": 2, "micro_batch": 1},
    "zero2": {"cpu_processes": 2, "micro_batch": 1, "deepspeed": "zero2"},
    "zero3": {"cpu_processes": 2, "micro_batch": 1, "deepspeed": "zero3"},
}


@pytest.mark.parametrize("name", SPREAD)
def test_sft_in_two_processes_ends_with_the_weights_of_one_process(results, alone, name):
    from pipeline.engines.policy import load_policy

    folder = train(results, f"sft-{name}", SftConfig(**SFT, **SPREAD[name]))
    facts = read_record(folder)["facts"]
    assert (facts["processes"], facts["steps"]) == (2, 12)
    load_policy(folder / "model")
    moved = largest_difference(alone, results / "base" / "policy")
    assert moved > 1e-2
    assert largest_difference(folder, alone) < 1e-4 * moved + 1e-5
    log = pl.read_parquet(folder / "log.parquet").filter(pl.col("metric") == "loss")
    assert log["step"].to_list() == list(range(1, 13))
    attempt = (folder / "work" / "attempts" / "001.log").read_text()
    assert attempt.count("error:") == 0
