"""Trainings in two CPU processes, started as the product starts them: DDP, ZeRO-2, ZeRO-3, kills, wrong engines."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

import polars as pl
import psutil
import pytest
from safetensors.torch import load_file

from pipeline.backend.job_process import execute
from pipeline.plan.frozen import FrozenPlan, code_digest, snapshot_code
from pipeline.stages.rl import RewardTerm, RlConfig
from pipeline.stages.sft import SftConfig
from pipeline.store.record import read_record, write_record
from tests.support import ROOT

CAN_COMPILE = (
    shutil.which("g++")
    and (shutil.which("ninja") or (Path(sys.executable).parent / "ninja").exists())
    and (Path(sysconfig.get_paths()["include"]) / "Python.h").exists()
)
NEEDS_COMPILER = pytest.mark.skipif(
    not CAN_COMPILE,
    reason="DeepSpeed compiles its CPU communication: it needs g++, ninja and Python's headers (python3-dev)",
)
pytestmark = [pytest.mark.distributed, pytest.mark.slow, NEEDS_COMPILER]

SFT = {"learning_rate": 1e-2, "epochs": 5, "batch_size": 4, "max_length": 200, "precision": "fp32"}
STEPS = 20
TERMS = (
    RewardTerm(name="accuracy"),
    RewardTerm(name="soft_overlong", params={"max_length": 16, "cache": 15}),
)
RL = {
    "algorithm": "grpo", "reward": TERMS, "steps": 3, "prompts_per_step": 2, "rollouts": 4, "max_new_tokens": 12,
    "learning_rate": 1e-2, "precision": "fp32",
}  # fmt: skip


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> Path:
    """A folder of results with a policy and data that are done, and the package as jobs run it."""
    from pipeline.engines.policy.folder import save_policy
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


def is_near(folder: Path, reference: Path, start: Path) -> bool:
    """Whether two runs differ by less than a thousandth of what training changed."""
    moved = largest_difference(reference, start)
    assert moved > 1e-2
    return largest_difference(folder, reference) < 1e-3 * moved


def test_sft_under_zero2_ends_with_the_weights_of_one_process_and_one_writer(results, alone):
    from pipeline.engines.policy.folder import load_policy

    config = SftConfig(**SFT, cpu_processes=2, micro_batch=1, deepspeed="zero2")
    folder = train(results, "sft-zero2", config)
    facts = read_record(folder)["facts"]
    assert (facts["processes"], facts["steps"]) == (2, STEPS)
    load_policy(folder / "model")
    assert is_near(folder, alone, results / "base" / "policy")
    log = pl.read_parquet(folder / "log.parquet").filter(pl.col("metric") == "loss")
    assert log["step"].to_list() == list(range(1, STEPS + 1))
    assert [len(line) for line in (folder / "work" / "log.jsonl").read_text().splitlines()].count(0) == 0
    assert len((folder / "work" / "log.jsonl").read_text().splitlines()) == STEPS
    assert json.loads((folder / "work" / "progress.json").read_text())["done"] == STEPS
    assert {path.name for path in folder.iterdir()} == {
        "model",
        "log.parquet",
        "work",
        "record.json",
        ".lock",
    }


def start(results: Path, key: str, config: SftConfig | RlConfig) -> subprocess.Popen:
    """The command of a Snakemake rule, stopped by the caller after some updates."""
    plan = make_plan(results, key, config)
    command = [sys.executable, "-m", "pipeline.backend.job_process", str(plan.path), key]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def wait_for_step(process: subprocess.Popen, work: Path, step: int) -> None:
    state = work / "state.json"
    while not (state.exists() and json.loads(state.read_text())["furthest_step"] >= step):
        assert process.poll() is None, process.stdout.read()
        time.sleep(0.05)


def test_kill_minus_nine_of_the_launcher_ends_its_processes_and_zero3_resumes(results, alone):
    config = SftConfig(**SFT, cpu_processes=2, micro_batch=1, deepspeed="zero3", save_every_minutes=0.01)
    process = start(results, "killed", config)
    folder = results / "sft" / "killed"
    wait_for_step(process, folder / "work", 1)
    [launcher] = psutil.Process(process.pid).children()
    ranks = launcher.children()
    assert len(ranks) == 2
    launcher.kill()
    _, alive = psutil.wait_procs(ranks, timeout=10)
    assert not alive
    output, _ = process.communicate(timeout=30)
    assert process.returncode != 0 and "killed by SIGKILL" in output
    assert not (folder / "model").exists()
    execute(make_plan(results, "killed", config), "killed")
    assert 0 < read_record(folder)["facts"]["resumed_at_step"] < STEPS
    assert is_near(folder, alone, results / "base" / "policy")


def test_a_signal_to_the_job_reaches_both_processes_which_save_and_resume(results, alone):
    config = SftConfig(**SFT, cpu_processes=2, micro_batch=1)
    process = start(results, "stopped", config)
    folder = results / "sft" / "stopped"
    progress = folder / "work" / "progress.json"
    while not progress.exists():
        assert process.poll() is None, process.stdout.read()
        time.sleep(0.02)
    process.send_signal(signal.SIGUSR1)
    output, _ = process.communicate(timeout=60)
    assert process.returncode != 0
    assert "SFT was stopped by SIGUSR1; step" in output
    execute(make_plan(results, "stopped", config), "stopped")
    assert 0 < read_record(folder)["facts"]["resumed_at_step"] < STEPS
    assert is_near(folder, alone, results / "base" / "policy")


@pytest.mark.parametrize("changes", [{}, {"bucket_by_length": True}, {"packing": "isolated"}])
def test_a_partial_batch_is_not_filled_with_rows_that_are_then_trained_on_twice(results, changes):
    config = SftConfig(**SFT | {"batch_size": 6, "max_length": 100} | changes)
    names = [f"partial-{'-'.join(changes)}-{processes}" for processes in (1, 2)]
    one = train(results, names[0], config)
    two = train(results, names[1], config.model_copy(update={"cpu_processes": 2}))
    assert read_record(one)["facts"]["steps"] == read_record(two)["facts"]["steps"]
    assert is_near(two, one, results / "base" / "policy")


def test_two_processes_that_resume_within_an_epoch_take_the_rows_that_were_left(results):
    config = SftConfig(**SFT, cpu_processes=2, micro_batch=1, bucket_by_length=True, save_every_minutes=1e-9)
    whole = train(results, "whole", config)
    checkpoints = results / "sft" / "resumed" / "work" / "checkpoints"
    shutil.copytree(whole / "work" / "checkpoints" / "checkpoint-18", checkpoints / "checkpoint-18")
    folder = train(results, "resumed", config)
    assert read_record(folder)["facts"]["resumed_at_step"] == 18
    losses = [
        pl.read_parquet(path / "log.parquet").filter(pl.col("metric") == "loss", pl.col("step") > 18)["value"]
        for path in (folder, whole)
    ]
    assert losses[0].to_list() == losses[1].to_list()
    assert largest_difference(folder, whole) == 0


def test_grpo_under_zero2_draws_the_rollouts_of_one_process_and_ends_with_its_weights(results):
    one = train(results, "rl-alone", RlConfig(**RL))
    two = train(results, "rl-zero2", RlConfig(**RL, cpu_processes=2, deepspeed="zero2"))
    mean_length = [
        pl.read_parquet(folder / "log.parquet").filter(pl.col("metric") == "completions/mean_length")["value"]
        for folder in (one, two)
    ]
    assert mean_length[0].to_list() == mean_length[1].to_list()
    assert is_near(two, one, results / "base" / "policy")
    assert (two / "steps" / "2" / "model" / "model.safetensors").exists()


NAIVE = """
import os
import sys
from pathlib import Path
from datasets import Dataset
from trl import SFTConfig as SftArguments, SFTTrainer
from pipeline.engines.training.parallel import EngineCheck, deepspeed_options
from pipeline.engines.policy.folder import load_policy
from pipeline.errors import StageError
from pipeline.stages.sft import SftConfig
policy, folder = sys.argv[1:]
config = SftConfig(learning_rate=1e-3, epochs=1, batch_size=4, precision="fp32", cpu_processes=2, deepspeed="zero2")
options = deepspeed_options(config, micro_batch=2, accumulation=1)
arguments = SftArguments(output_dir=folder, use_cpu=True, bf16=False, deepspeed=options, report_to="none",
    per_device_train_batch_size=2, gradient_checkpointing=False, max_steps=1)
model, tokenizer = load_policy(Path(policy))
rows = Dataset.from_dict({"input_ids": [[5, 6, 7, 8]] * 8})
trainer = SFTTrainer(model, arguments, train_dataset=rows, processing_class=tokenizer)
trainer.add_callback(EngineCheck(trainer, config))
try:
    trainer.train()
except StageError as error:
    line = f"REFUSED {error.what}"
else:
    line = f"TRAINED {type(trainer.model_wrapped)}"
os.write(1, f"{line}\\n".encode())  # one write: the lines of two processes share a pipe
os._exit(0)
"""


def launch(engine: str, *words: str, **variables: str) -> str:
    command = [sys.executable, "-m", "accelerate.commands.launch", engine, "--num_machines", "1", "--num_processes", "2",
               "--main_process_port", "0", "--mixed_precision", "no", "--dynamo_backend", "no", *words]  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **variables}
    return subprocess.run(
        command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ).stdout


def test_deepspeed_that_silently_became_ddp_is_refused(results, tmp_path):
    program = tmp_path / "ddp.py"
    program.write_text(NAIVE)
    words = (str(program), str(results / "base/policy/model"), str(tmp_path / "out"))
    output = launch("--multi_gpu", *words, ACCELERATE_USE_CPU="true")
    assert (
        output.count("REFUSED deepspeed: zero2 is asked for and the training got DistributedDataParallel")
        == 2
    )


def test_deepspeed_that_nobody_asked_for_is_refused(results):
    plan = make_plan(results, "unasked", SftConfig(**SFT, cpu_processes=2))
    work = plan.folder("unasked") / "work"
    work.mkdir(parents=True)
    (work / "job.json").write_text(json.dumps(plan.job("unasked")))
    launch("--use_deepspeed", "-m", "pipeline.backend.stage_process", str(work / "job.json"))
    assert (
        "no DeepSpeed is asked for and the training got"
        in json.loads((work / "failure.json").read_text())["what"]
    )
    assert not (work / "facts.json").exists()
