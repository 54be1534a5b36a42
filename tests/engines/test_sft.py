"""Supervised fine-tuning: what carries loss, batches, resume after a kill, refusals."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from datasets import Dataset
from safetensors.torch import load_file
from trl import SFTConfig as SftArguments
from trl import SFTTrainer

from pipeline.backend import stage_process
from pipeline.engines.policy.folder import load_policy, save_policy
from pipeline.engines.sft import read_examples, tokenize, train
from pipeline.engines.tiny import build_model, build_tokenizer
from pipeline.engines.training.arguments import split_batch
from pipeline.engines.training.log import find_checkpoint, is_complete
from pipeline.engines.training.order import BucketSampler
from pipeline.errors import InputError, RefusedError, StageError
from pipeline.generators import chains
from pipeline.prompt import Prompt
from pipeline.stages.base import TinyModel
from pipeline.stages.sft import SftConfig
from pipeline.stages.training import Lora
from pipeline.store.job import Job
from tests.support import ROOT
from tests.support.disks import mounted

ROWS = 20


def make_config(**changes) -> SftConfig:
    chosen = {"learning_rate": 1e-3, "epochs": 2, "batch_size": 4, "max_length": 200, "precision": "fp32"}
    return SftConfig(**(chosen | changes))


@pytest.fixture(scope="module")
def policy(tmp_path_factory) -> Path:
    config = TinyModel(hidden_size=16, layers=2, heads=2, intermediate_size=32, max_positions=256)
    tokenizer = build_tokenizer()
    folder = tmp_path_factory.mktemp("policy") / "model"
    save_policy(build_model(config, len(tokenizer), tokenizer, seed=1), tokenizer, folder)
    return folder


@pytest.fixture(scope="module")
def rows(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("data") / "rows.parquet"
    short = chains.generate(chains.Params(), ROWS // 2, 1)
    long = chains.generate(chains.Params(style="long"), ROWS // 2, 2)
    pl.DataFrame([*short, *long]).write_parquet(path)
    return path


def make_job(folder: Path, kind: type[Job] = Job) -> Job:
    folder.mkdir(parents=True, exist_ok=True)
    return kind(key=folder.name, stage="sft", config=None, seed=3, inputs={}, folder=folder)


def weights_of(job: Job) -> bytes:
    return (job.folder / "model" / "model.safetensors").read_bytes()


@pytest.fixture(scope="module")
def finished(policy, rows, tmp_path_factory) -> tuple[Job, dict]:
    job = make_job(tmp_path_factory.mktemp("finished"))
    return job, train(job, make_config(), policy=policy, rows=rows)


def test_a_run_leaves_a_loadable_policy_a_log_of_every_step_and_its_facts(finished, policy):
    job, facts = finished
    assert (facts["rows"], facts["steps"], facts["rows_truncated"]) == (ROWS, 10, 0)
    assert weights_of(job) != (policy / "model.safetensors").read_bytes()
    load_policy(job.folder / "model")
    losses = pl.read_parquet(job.folder / "log.parquet").filter(pl.col("metric") == "loss")
    assert losses["step"].to_list() == list(range(1, 11))
    assert losses["value"][-1] == facts["final_loss"] < losses["value"][0]


@pytest.mark.parametrize("loss_on", ["completion", "all"])
def test_tokens_and_labels_are_those_of_trl(policy, rows, tmp_path, loss_on):
    config = make_config(loss_on=loss_on, prompt=Prompt(system="Be brief.", user="Q: {problem}"))
    model, tokenizer = load_policy(policy)
    examples = read_examples(rows)
    ours = tokenize(examples, tokenizer, config).dataset
    conversations = Dataset.from_list([
        {"prompt": config.prompt.messages(problem), "completion": [{"role": "assistant", "content": solution}]}
        for problem, solution in examples
    ])  # fmt: skip
    arguments = SftArguments(
        output_dir=str(tmp_path), use_cpu=True, bf16=False, report_to="none", max_length=200,
        completion_only_loss=loss_on == "completion", gradient_checkpointing=False,
    )  # fmt: skip
    theirs = SFTTrainer(
        model, arguments, train_dataset=conversations, processing_class=tokenizer
    ).train_dataset
    assert ours["input_ids"][:] == theirs["input_ids"][:]
    assert ours["labels"][:] == theirs["labels"][:]


def first_loss(folder: Path, policy: Path, rows: Path, **changes) -> float:
    job = make_job(folder)
    train(job, make_config(epochs=1, batch_size=ROWS, **changes), policy=policy, rows=rows)
    log = pl.read_parquet(job.folder / "log.parquet").filter(
        (pl.col("metric") == "loss") & (pl.col("step") == 1)
    )
    return log["value"][0]


@pytest.fixture(scope="module")
def plain_loss(policy, rows, tmp_path_factory) -> float:
    return first_loss(tmp_path_factory.mktemp("plain"), policy, rows)


@pytest.mark.parametrize(
    "changes", [{"packing": "isolated", "max_length": 4_000}, {"micro_batch": 5}, {"bucket_by_length": True}]
)
def test_packing_micro_batches_and_buckets_leave_the_loss_of_a_full_batch(
    policy, rows, tmp_path, plain_loss, changes
):
    assert first_loss(tmp_path, policy, rows, **changes) == pytest.approx(plain_loss, rel=1e-4)


def test_bf16_trains_on_the_cpu_too(policy, rows, tmp_path, plain_loss):
    loss = first_loss(tmp_path, policy, rows, precision="bf16")
    assert loss == pytest.approx(plain_loss, rel=1e-2)
    assert loss != plain_loss
    assert {str(tensor.dtype) for tensor in load_file(tmp_path / "model/model.safetensors").values()} == {
        "torch.bfloat16"
    }


def test_adapters_are_merged_into_plain_weights(policy, rows, tmp_path):
    job = make_job(tmp_path)
    train(job, make_config(lora=Lora(rank=4), learning_rate=1e-2), policy=policy, rows=rows)
    merged, original = (
        load_file(job.folder / "model/model.safetensors"),
        load_file(policy / "model.safetensors"),
    )
    assert merged.keys() == original.keys()
    name = "model.layers.0.self_attn.q_proj.weight"
    assert not merged[name].equal(original[name])
    assert merged["model.embed_tokens.weight"].equal(original["model.embed_tokens.weight"])
    load_policy(job.folder / "model")


@pytest.mark.parametrize("changes", [{}, {"gradient_checkpointing": True}, {"lora": Lora(rank=4)}])
def test_what_the_model_says_of_itself_is_kept(policy, rows, tmp_path, changes):
    start = shutil.copytree(policy, tmp_path / "start")
    said = {"config.json": {"eos_token_id": 20, "bos_token_id": 3, "use_cache": True},
            "generation_config.json": {"eos_token_id": [20, 21], "pad_token_id": 7, "do_sample": False, "top_p": 0.8}}  # fmt: skip
    for name, words in said.items():
        (start / name).write_text(json.dumps(json.loads((start / name).read_text()) | words))
    config = make_config(epochs=1, save_every_minutes=1e-9, **changes)
    train(make_job(tmp_path), config, policy=start, rows=rows)
    for name in said:
        before, after = (json.loads((folder / name).read_text()) for folder in (start, tmp_path / "model"))
        assert after == before


KILLED_RUN = """
import sys, json
from pathlib import Path
from pipeline.engines.sft import train
from pipeline.store.job import Job
from pipeline.stages.sft import SftConfig
config, policy, rows, folder = sys.argv[1:]
job = Job(key="killed", stage="sft", config=None, seed=3, inputs={}, folder=Path(folder))
train(job, SftConfig(**json.loads(config)), policy=Path(policy), rows=Path(rows))
"""


@pytest.mark.parametrize("bucketed", [False, True])
def test_kill_minus_nine_in_the_second_epoch_and_a_rerun_give_identical_weights(
    policy, rows, tmp_path, bucketed
):
    changes = {"bucket_by_length": bucketed, "epochs": 16, "save_every_minutes": 1e-9}
    config = make_config(**changes)
    whole = make_job(tmp_path / "whole")
    train(whole, make_config(bucket_by_length=bucketed, epochs=16), policy=policy, rows=rows)
    killed = make_job(tmp_path / "killed")
    command = [sys.executable, "-c", KILLED_RUN, config.model_dump_json(exclude_defaults=True)]
    process = subprocess.Popen(
        [*command, str(policy), str(rows), str(killed.folder)],
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    state = killed.work / "state.json"
    while not (state.exists() and json.loads(state.read_text())["furthest_step"] >= 12):
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    facts = train(killed, make_config(bucket_by_length=bucketed, epochs=16), policy=policy, rows=rows)
    assert 12 <= facts["resumed_at_step"] < 80
    assert weights_of(killed) == weights_of(whole)
    logs = [
        pl.read_parquet(job.folder / "log.parquet").filter(pl.col("metric") != "num_tokens")
        for job in (killed, whole)
    ]
    assert logs[0].equals(logs[1])


class PreemptedJob(Job):
    """A job whose process is told to stop after its third update."""

    def progress(self, done, total, unit, **extra):
        if done == 3:
            os.kill(os.getpid(), signal.SIGTERM)


@pytest.fixture
def preempted(policy, rows, tmp_path) -> Job:
    job = make_job(tmp_path / "preempted", PreemptedJob)
    handler = signal.getsignal(signal.SIGTERM)
    with pytest.raises(StageError, match="stopped by SIGTERM; step 3 is saved"):
        train(job, make_config(), policy=policy, rows=rows)
    assert signal.getsignal(signal.SIGTERM) is handler
    return make_job(job.folder)


def test_a_preempted_run_saves_stops_and_ends_with_the_same_weights(preempted, finished, policy, rows):
    assert train(preempted, make_config(), policy=policy, rows=rows)["resumed_at_step"] == 3
    assert weights_of(preempted) == weights_of(finished[0])


def test_a_half_written_checkpoint_is_passed_over(preempted, finished, policy, rows):
    checkpoints = preempted.work / "checkpoints"
    torn = shutil.copytree(checkpoints / "checkpoint-3", checkpoints / "checkpoint-9")
    (torn / "optimizer.pt").write_bytes(b"torn")
    unmarked = shutil.copytree(checkpoints / "checkpoint-3", checkpoints / "checkpoint-8")
    (unmarked / "COMPLETE.json").unlink()
    facts = train(preempted, make_config(save_every_minutes=1e-9), policy=policy, rows=rows)
    assert facts["resumed_at_step"] == 3
    assert weights_of(preempted) == weights_of(finished[0])
    assert {path.name for path in checkpoints.iterdir()} == {"checkpoint-8", "checkpoint-9"}
    assert all(is_complete(path) for path in checkpoints.iterdir()), "the torn ones counted as saved"


@pytest.fixture
def small_disk(tmp_path) -> Iterator[Path]:
    """A file system with room for two and a half of the checkpoints."""
    with mounted(tmp_path / "disk", "size=600k") as folder:
        yield folder


def test_a_full_disk_is_named_and_the_run_resumes_from_the_last_whole_checkpoint(
    policy, rows, small_disk, finished
):
    work = small_disk / "job" / "work"
    work.mkdir(parents=True)
    config = make_config(save_every_minutes=1e-9).model_dump(mode="json")
    inputs = {"policy": [str(policy.parent)], "data": [str(rows.parent)]}
    described = {
        "key": "job", "stage": "sft", "config": config, "seed": 3, "inputs": inputs, "folder": str(work.parent),
        "title": "", "hints": {},
    }  # fmt: skip
    (work / "job.json").write_text(json.dumps(described))
    assert stage_process.main(work / "job.json") == StageError.exit_code
    said = json.loads((work / "failure.json").read_text())
    assert said["what"] == f"no space left on device while writing {work.parent}"
    assert find_checkpoint(work).name == "checkpoint-2"
    subprocess.run(["mount", "-o", "remount,size=50m", str(small_disk)], check=True)
    assert stage_process.main(work / "job.json") == 0
    assert json.loads((work / "facts.json").read_text())["facts"]["resumed_at_step"] == 2
    assert weights_of(make_job(work.parent)) == weights_of(finished[0])


def test_a_run_whose_checkpoints_vanished_refuses_to_begin_at_step_zero(preempted, policy, rows):
    shutil.rmtree(preempted.work / "checkpoints")
    with pytest.raises(RefusedError, match="step 3 was saved once") as refused:
        train(preempted, make_config(), policy=policy, rows=rows)
    assert "state.json" in refused.value.remedy


def test_a_loss_that_became_nan_stops_the_run_and_names_the_step(policy, rows, tmp_path):
    with pytest.raises(StageError, match=r"(loss|grad_norm) became (nan|inf) at step \d+"):
        train(
            make_job(tmp_path), make_config(learning_rate=1e30, max_grad_norm=1e30), policy=policy, rows=rows
        )


def write(folder: Path, **columns) -> Path:
    pl.DataFrame(columns, schema_overrides=dict.fromkeys(columns, pl.String)).write_parquet(
        folder / "rows.parquet"
    )
    return folder / "rows.parquet"


def test_rows_without_anything_to_train_on_are_refused(tmp_path):
    for columns, message in (
        ({"problem": [], "solution": []}, "no rows"),
        ({"problem": ["a", "b", "c"], "solution": ["x", None, " "]}, "2 of 3 rows have no solution"),
        ({"problem": ["a"]}, "column solution is missing"),
    ):
        with pytest.raises(InputError, match=message):
            read_examples(write(tmp_path, **columns))
    with pytest.raises(InputError, match="no such file"):
        read_examples(tmp_path / "nowhere.parquet")


def test_cut_rows_are_counted_and_wholly_cut_data_is_refused(policy):
    _, tokenizer = load_policy(policy)
    examples = [("1+1", "2"), ("1" * 7, "2" * 20), ("1" * 40, "2")]
    tokens = tokenize(examples, tokenizer, make_config(max_length=16))
    assert (len(tokens.dataset), tokens.truncated, tokens.dropped) == (2, 2, 1)
    assert max(tokens.lengths) == 16
    with pytest.raises(InputError, match="cuts off the whole response of all 1 rows"):
        tokenize(examples[2:], tokenizer, make_config(max_length=16))


def test_rows_beyond_the_context_of_the_model_are_refused(policy, rows, tmp_path):
    start = shutil.copytree(policy, tmp_path / "start")
    config = json.loads((start / "config.json").read_text())
    (start / "config.json").write_text(json.dumps(config | {"max_position_embeddings": 100}))
    with pytest.raises(InputError, match=r"8 of 20 rows are longer than the model's context of 100 tokens"):
        train(make_job(tmp_path / "refused"), make_config(), policy=start, rows=rows)
    train(make_job(tmp_path / "cut"), make_config(max_length=100, epochs=1), policy=start, rows=rows)


def test_the_global_batch_is_kept_or_refused(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "4")
    assert split_batch(128, 8) == (8, 4)
    assert split_batch(8, 8) == (2, 1)
    with pytest.raises(InputError, match="evenly over 4"):
        split_batch(10, None)
    with pytest.raises(InputError, match="does not divide"):
        split_batch(16, 3)


def test_buckets_hold_every_row_once_in_batches_of_like_length():
    lengths = [(7 * i) % 101 for i in range(500)]
    sampler = BucketSampler(lengths, 10, seed=1)
    first = list(sampler)
    assert sorted(first) == list(range(500))
    spreads = [
        max(batch) - min(batch)
        for at in range(0, 500, 10)
        for batch in [[lengths[i] for i in first[at : at + 10]]]
    ]
    assert max(spreads) <= 3
    assert first == list(BucketSampler(lengths, 10, seed=1))
    sampler.set_epoch(1)
    assert first != list(sampler)
