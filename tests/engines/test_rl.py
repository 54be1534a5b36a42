"""Reinforcement learning: batches, pinned fields, published steps, resume, refusals."""

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

from pipeline.engines import rl
from pipeline.errors import InputError, StageError
from pipeline.prompt import Prompt
from pipeline.stages.rl import RewardTerm, RlConfig
from pipeline.store.job import Job
from tests.support import ROOT

TERMS = (
    RewardTerm(name="accuracy"),
    RewardTerm(name="soft_overlong", weight=0.5, params={"max_length": 16, "cache": 15}),
)


def make_config(**changes) -> RlConfig:
    chosen = {
        "algorithm": "grpo", "reward": TERMS, "steps": 4, "prompts_per_step": 2, "rollouts": 4, "max_new_tokens": 12,
        "learning_rate": 1e-2, "precision": "fp32",
    }  # fmt: skip
    return RlConfig(**(chosen | changes))


@pytest.fixture(scope="module")
def policy(tmp_path_factory) -> Path:
    from pipeline.engines.policy.folder import save_policy
    from pipeline.engines.tiny import build_model, build_tokenizer
    from pipeline.stages.base import TinyModel

    config = TinyModel(hidden_size=32, layers=2, heads=4, kv_heads=2, intermediate_size=64, max_positions=256)
    tokenizer = build_tokenizer()
    model = build_model(config, len(tokenizer) + 9, tokenizer, seed=1)
    model.generation_config.eos_token_id = [tokenizer.eos_token_id, *range(20, 40)]
    folder = tmp_path_factory.mktemp("policy")
    save_policy(model, tokenizer, folder / "model")
    return folder / "model"


@pytest.fixture(scope="module")
def rows(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("data") / "rows.parquet"
    frame = {
        "id": [f"p{i}" for i in range(6)],
        "problem": [f"{i}+1?" for i in range(6)],
        "answer": list("123456"),
    }
    pl.DataFrame(frame).write_parquet(path)
    return path


def make_job(folder: Path, config: RlConfig) -> Job:
    folder.mkdir(parents=True, exist_ok=True)
    return Job("rl-1", "rl", config, 3, {}, folder)


def run(folder: Path, policy: Path, rows: Path, config: RlConfig, **options):
    return rl.train(make_job(folder, config), config, policy=policy, rows=rows, **options)


def read_weights(folder: Path) -> dict:
    from safetensors.torch import load_file

    return load_file(folder / "model.safetensors")


def is_same(one: Path, two: Path) -> bool:
    a, b = read_weights(one), read_weights(two)
    return a.keys() == b.keys() and all(a[name].equal(b[name]) for name in a)


@pytest.fixture(scope="module")
def finished(policy, rows, tmp_path_factory):
    """A whole run over more than one pass of the data, two of its steps published."""
    folder = tmp_path_factory.mktemp("rl") / "whole"
    config = make_config(steps=8)
    facts = run(folder, policy, rows, config, save_steps=(3, 8))
    return folder, config, facts


@pytest.mark.parametrize(
    ("changes", "processes", "expected"),
    [
        ({}, 1, (8, 1, 1, 2, 1)),
        ({"micro_batch": 2}, 1, (2, 4, 4, 2, 1)),
        ({"micro_batch": 2}, 2, (2, 2, 2, 2, 1)),
        ({"updates_per_generation": 3}, 1, (8, 1, 3, 6, 3)),
        ({"updates_per_generation": 3, "iterations": 2, "micro_batch": 4}, 1, (4, 2, 6, 6, 6)),
        ({"prompts_per_step": 3, "rollouts": 8}, 4, (6, 1, 1, 3, 1)),
        ({"loss": "bnpo", "loss_batch": 2}, 1, (2, 4, 4, 2, 1)),
        ({"loss": "bnpo", "loss_batch": 2}, 4, (2, 1, 1, 2, 1)),
    ],
)
def test_a_round_is_split_so_that_every_update_takes_its_prompts(monkeypatch, changes, processes, expected):
    monkeypatch.setenv("WORLD_SIZE", str(processes))
    config = make_config(**changes)
    split = rl.split_rounds(config, processes)
    assert (split.micro_batch, split.accumulation, split.passes, split.prompts, split.cycle) == expected
    rollouts = split.micro_batch * split.passes * processes
    assert rollouts == config.prompts_per_step * config.rollouts * config.updates_per_generation


@pytest.mark.parametrize(
    ("changes", "processes", "message"),
    [
        ({}, 3, "cannot be spread evenly over 3 processes"),
        ({"prompts_per_step": 3, "rollouts": 8, "micro_batch": 6}, 3, "micro_batch 6 does not divide"),
        ({"loss": "bnpo", "loss_batch": 4}, 4, "loss_batch 4 is more than the 2 rollouts that each of 4"),
    ],
)
def test_uneven_splits_are_refused_with_a_remedy(monkeypatch, changes, processes, message):
    monkeypatch.setenv("WORLD_SIZE", str(processes))
    with pytest.raises(InputError, match=message) as caught:
        rl.split_rounds(make_config(**changes), processes)
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"loss": "bnpo"}, "loss: bnpo is a mean over the tokens of one pass of a device"),
        ({"entropy": 0.001}, "entropy is a mean over the tokens of one pass"),
        ({"algorithm": "rloo", "entropy": 0.001}, "entropy belongs to algorithm grpo"),
        ({"loss_batch": 2}, "loss_batch means nothing here"),
        ({"loss": "bnpo", "loss_batch": 2, "micro_batch": 4}, "micro_batch 4 contradicts loss_batch 2"),
    ],
)
def test_what_decides_a_loss_is_declared_and_never_left_to_the_placement(changes, message):
    with pytest.raises(ValueError, match=message):
        make_config(**changes)


def test_a_mean_over_the_tokens_of_a_pass_differs_from_one_over_the_update(policy, rows, tmp_path):
    losses = {}
    for name, changes in {
        "bnpo by 2": {"loss": "bnpo", "loss_batch": 2},
        "bnpo at once": {"loss": "bnpo", "loss_batch": 8},
        "dapo": {"loss": "dapo"},
        "dapo by 2": {"loss": "dapo", "micro_batch": 2},
        "entropy": {"loss": "bnpo", "loss_batch": 8, "entropy": 0.1},
    }.items():
        run(tmp_path / name, policy, rows, make_config(steps=1, scale_rewards="none", **changes))
        log = pl.read_parquet(tmp_path / name / "log.parquet")
        losses[name] = log.filter(pl.col("step") == 1, pl.col("metric") == "loss")["value"].item()
    assert losses["bnpo at once"] == pytest.approx(losses["dapo"], abs=1e-6)
    assert losses["dapo by 2"] == pytest.approx(losses["dapo"], abs=1e-6)
    assert abs(losses["bnpo by 2"] - losses["dapo"]) > 1e-3
    assert losses["entropy"] < losses["bnpo at once"] - 0.1


def test_a_run_leaves_policy_log_rollouts_and_facts(finished, policy):
    folder, _, facts = finished
    assert not is_same(folder / "model", policy), "rewards differ, so weights must move"
    log = pl.read_parquet(folder / "log.parquet")
    names = {
        "loss",
        "grad_norm",
        "reward",
        "reward_std",
        "rewards/accuracy/mean",
        "rewards/soft_overlong/mean",
    }
    assert names | {"completions/mean_length", "completions/clipped_ratio", "learning_rate"} <= set(
        log["metric"]
    )
    assert log.filter(pl.col("metric") == "reward")["step"].to_list() == list(range(1, 9))
    rollouts = pl.read_parquet(folder / "rollouts.parquet")
    assert rollouts.height == 3 * 8 and set(rollouts["step"]) == {5, 6, 7}
    assert {"problem_id", "response", "n_tokens", "reward_accuracy", "reward_soft_overlong"} <= set(
        rollouts.columns
    )
    assert facts["steps"] == 8 and facts["rollouts"] == 64 and facts["generated_tokens"] > 64
    json.dumps(facts)


def test_the_reward_is_the_weighted_sum_of_the_terms(finished):
    log = pl.read_parquet(finished[0] / "log.parquet").pivot("metric", index="step", values="value")
    expected = log["rewards/accuracy/mean"] + 0.5 * log["rewards/soft_overlong/mean"]
    assert (log["reward"] - expected).abs().max() < 1e-5


@pytest.mark.parametrize("choice", ["never", "always"])
def test_a_run_with_a_declared_opening_tag_keeps_its_rollouts_as_texts(policy, rows, tmp_path, choice):
    config = make_config(algorithm="rloo", steps=1, prompt=Prompt(think_prefill=choice))
    facts = run(tmp_path, policy, rows, config)
    rollouts = pl.read_parquet(tmp_path / "rollouts.parquet")
    assert rollouts.height == facts["rollouts"] == 8 and rollouts["response"].dtype == pl.String


def test_a_template_that_writes_the_date_gives_the_same_rollouts_on_every_day(policy, rows, tmp_path):
    for date, folder in (("strftime_now('%d %b %Y')", "asking"), ("'26 Jul 2024'", "told")):
        shutil.copytree(policy, tmp_path / folder / "policy")
        template = tmp_path / folder / "policy" / "chat_template.jinja"
        template.write_text("{{ " + date + " + '\\n' }}" + template.read_text())
        run(tmp_path / folder, tmp_path / folder / "policy", rows, make_config(steps=1))
    assert is_same(tmp_path / "asking" / "model", tmp_path / "told" / "model")


def test_published_steps_are_the_policies_of_those_steps(finished, policy, rows, tmp_path):
    folder, config, _ = finished
    assert is_same(folder / "steps" / "8" / "model", folder / "model")
    assert not is_same(folder / "steps" / "3" / "model", folder / "model")
    run(tmp_path / "stopped", policy, rows, config, stop_after=3)
    assert is_same(folder / "steps" / "3" / "model", tmp_path / "stopped" / "model")
    from pipeline.engines.policy.folder import load_policy

    load_policy(folder / "steps" / "3" / "model")


def test_a_run_killed_at_any_moment_ends_with_the_same_weights(finished, policy, rows, tmp_path):
    folder, config, _ = finished
    hurried = config.model_copy(update={"save_every_minutes": 1e-6})
    program = (
        "import sys, os, signal; sys.path.insert(0, sys.argv[1])\n"
        "from pathlib import Path; from tests.engines import test_rl as t\n"
        "from pipeline.stages.rl import RlConfig\n"
        "where, policy, rows, config = sys.argv[2:]\n"
        "config = RlConfig.model_validate_json(config)\n"
        "t.run(Path(where), Path(policy), Path(rows), config, save_steps=(3, 8))\n"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", program, str(ROOT), str(tmp_path), str(policy), str(rows), hurried.model_dump_json()],
        env={**os.environ, "OMP_NUM_THREADS": "1"}, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    while not (tmp_path / "work" / "checkpoints" / "checkpoint-5").exists() and child.poll() is None:
        time.sleep(0.002)
    child.send_signal(signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL
    assert not (tmp_path / "model").exists()
    facts = run(tmp_path, policy, rows, hurried, save_steps=(3, 8))
    assert facts["resumed_at_step"] >= 3
    for published in ("model", "steps/3/model", "steps/8/model"):
        assert is_same(tmp_path / published, folder / published)
    ours, theirs = (pl.read_parquet(f / "rollouts.parquet") for f in (tmp_path, folder))
    assert ours.equals(theirs)


class PreemptedJob(Job):
    """A job whose process is told to stop after its third update."""

    def progress(self, done, total, unit, **extra):
        if done == 3:
            os.kill(os.getpid(), signal.SIGTERM)


def test_a_run_that_is_told_to_stop_after_its_last_update_ends_there(finished, policy, rows, tmp_path):
    config = finished[1]
    job = PreemptedJob("rl-1", "rl", config, 3, {}, tmp_path)
    rl.train(job, config, policy=policy, rows=rows, stop_after=3)
    assert not list((tmp_path / "work").glob("checkpoints/*"))
    assert is_same(tmp_path / "model", finished[0] / "steps" / "3" / "model")


def test_working_checkpoints_fall_between_rounds_only(policy, rows, tmp_path):
    changes = {"updates_per_generation": 2, "iterations": 2, "steps": 9, "save_every_minutes": 1e-6}
    config = make_config(**changes)
    run(tmp_path / "whole", policy, rows, config)
    found = sorted(p.name for p in (tmp_path / "whole" / "work" / "checkpoints").glob("checkpoint-*"))
    assert found == ["checkpoint-4", "checkpoint-8"]
    start = tmp_path / "whole" / "work" / "checkpoints" / "checkpoint-4"
    facts = run(tmp_path / "resumed", policy, rows, config, resume_from=start)
    assert facts["resumed_at_step"] == 4
    assert is_same(tmp_path / "whole" / "model", tmp_path / "resumed" / "model")


@pytest.mark.parametrize(
    "changes",
    [
        {"algorithm": "rloo", "kl": 0.05, "whiten_advantages": True},
        {"kl": 0.04, "loss": "dapo", "clip_high": 0.28, "micro_batch": 4, "mask_truncated": True},
        {"loss": "dr_grpo", "scale_rewards": "none", "precision": "bf16", "top_p": 0.9},
        {"lora": {"rank": 4, "alpha": 8, "dropout": 0.1}},
        {"loss": "bnpo", "loss_batch": 4, "entropy": 0.01, "kl": 0.01},
    ],
    ids=["rloo", "kl_dapo", "dr_grpo_bf16", "lora", "bnpo_entropy"],
)
def test_every_variant_trains_and_can_be_loaded_again(policy, rows, tmp_path, changes):
    config = RlConfig.model_validate_json(json.dumps(make_config(steps=2).model_dump(mode="json") | changes))
    run(tmp_path, policy, rows, config, save_steps=(1,))
    from pipeline.engines.policy.folder import load_policy

    for place in ("model", "steps/1/model"):
        load_policy(tmp_path / place)
    metrics = set(pl.read_parquet(tmp_path / "log.parquet")["metric"])
    assert ("kl" in metrics) == (config.kl > 0)


def test_publishing_a_step_never_changes_what_follows(finished, policy, rows, tmp_path):
    run(tmp_path, policy, rows, finished[1], save_steps=tuple(range(1, 8)))
    assert is_same(tmp_path / "model", finished[0] / "model")


def test_micro_batches_change_only_rounding(finished, policy, rows, tmp_path):
    run(tmp_path, policy, rows, finished[1].model_copy(update={"micro_batch": 2}), stop_after=1)
    whole, split = (pl.read_parquet(f / "log.parquet") for f in (finished[0], tmp_path))
    for metric in ("reward", "grad_norm", "completions/mean_length"):
        one, two = (
            log.filter((pl.col("metric") == metric) & (pl.col("step") == 1))["value"][0]
            for log in (whole, split)
        )
        assert one == pytest.approx(two, rel=1e-3)


def test_gradient_checkpointing_never_reaches_the_rollouts(finished, policy, rows, tmp_path):
    run(
        tmp_path,
        policy,
        rows,
        finished[1].model_copy(update={"gradient_checkpointing": True}),
        stop_after=1,
    )
    plain, checkpointed = (read_first_metrics(folder) for folder in (finished[0], tmp_path))
    assert checkpointed == pytest.approx(plain, rel=1e-3)


def test_dropout_never_reaches_the_rollouts(policy, rows, tmp_path):
    shutil.copytree(policy, tmp_path / "dropping")
    config = json.loads((policy / "config.json").read_text())
    (tmp_path / "dropping" / "config.json").write_text(json.dumps(config | {"attention_dropout": 0.9}))
    plain, dropping = tmp_path / "one", tmp_path / "two"
    run(plain, policy, rows, make_config(steps=1))
    run(dropping, tmp_path / "dropping", rows, make_config(steps=1))
    assert pl.read_parquet(dropping / "rollouts.parquet").equals(pl.read_parquet(plain / "rollouts.parquet"))
    norms = [read_first_metrics(folder)["grad_norm"] for folder in (plain, dropping)]
    assert norms[0] != pytest.approx(norms[1], rel=1e-3), "training does drop"


def read_first_metrics(folder: Path) -> dict[str, float]:
    log = pl.read_parquet(folder / "log.parquet").filter(pl.col("step") == 1)
    found = dict(zip(log["metric"], log["value"], strict=True))
    return {name: found[name] for name in ("reward", "grad_norm", "completions/mean_length")}


@pytest.mark.slow
def test_two_processes_draw_the_same_rollouts_as_one(finished, policy, rows, tmp_path):
    program = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from pathlib import Path; from tests.engines import test_rl as t\n"
        "t.run(*map(Path, sys.argv[2:]), t.make_config(steps=8, cpu_processes=2), stop_after=1)\n"
    )
    (tmp_path / "program.py").write_text(program)
    launcher = [
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node",
        "2",
        str(tmp_path / "program.py"),
    ]
    places = [str(p) for p in (ROOT, tmp_path / "two", policy, rows)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, *launcher, *places], env=environment, check=True, capture_output=True)
    run(tmp_path / "one", policy, rows, finished[1], stop_after=1)
    two, one = (pl.read_parquet(tmp_path / name / "rollouts.parquet") for name in ("two", "one"))
    assert two.equals(one.head(two.height)), "the first process keeps its half of the round"
    logs = [pl.read_parquet(tmp_path / name / "log.parquet") for name in ("two", "one")]
    norms = [log.filter(pl.col("metric") == "grad_norm")["value"][0] for log in logs]
    assert norms[0] == pytest.approx(norms[1], rel=1e-3)


def test_every_field_that_moves_results_reaches_trl(policy, rows, tmp_path, monkeypatch):
    from pipeline.engines.training import rl_trainer

    config = make_config(
        kl=0.1, clip=0.1, clip_high=0.3, temperature=0.7, top_p=0.9, iterations=2, loss="dr_grpo"
    )
    seen = {}

    class Stop(Exception):
        pass

    def look(**options):
        seen.update(vars(options["args"]))
        raise Stop

    monkeypatch.setattr(rl_trainer, "_Grpo", look)
    with pytest.raises(Stop):
        run(tmp_path, policy, rows, config)
    expected = {
        "beta": 0.1, "epsilon": 0.1, "epsilon_high": 0.3, "temperature": 0.7, "top_p": 0.9, "top_k": 0,
        "num_iterations": 2, "loss_type": "dr_grpo", "scale_rewards": "group", "num_generations": 4, "max_steps": 4,
        "importance_sampling_level": "token", "max_completion_length": 12, "reward_weights": [1.0, 0.5],
        "mask_truncated_completions": False, "use_bias_correction_kl": False, "learning_rate": 1e-2,
        "generation_batch_size": 8, "seed": 3,
    }  # fmt: skip
    assert {name: seen[name] for name in expected} == expected


def test_columns_that_trl_takes_for_its_own_stay_out(policy, rows, tmp_path):
    frame = pl.read_parquet(rows).with_columns(
        image=pl.lit("picture.png"), prompts=pl.lit("?"), level=pl.lit(3)
    )
    frame.write_parquet(tmp_path / "rows.parquet")
    run(tmp_path / "job", policy, tmp_path / "rows.parquet", make_config(steps=1))


def test_a_reward_that_is_no_number_stops_the_run(policy, rows, tmp_path, monkeypatch):
    from pipeline.engines.training import rollouts

    monkeypatch.setattr(
        rollouts.catalogue,
        "build",
        lambda *_, **__: lambda completions, **_: [float("nan")] * len(completions),
    )
    with pytest.raises(StageError, match="reward 'accuracy' gave nan for a response to 'p"):
        run(tmp_path, policy, rows, make_config())


@pytest.fixture
def short_sighted(policy, tmp_path) -> Path:
    """The policy with a context of 16 positions, 7 of which a prompt takes."""
    folder = shutil.copytree(policy, tmp_path / "short-sighted")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"max_position_embeddings": 16}))
    return folder


def test_rollouts_end_where_the_context_of_the_model_ends(short_sighted, rows, tmp_path):
    run(tmp_path / "job", short_sighted, rows, make_config(steps=2, max_new_tokens=64))
    rollouts = pl.read_parquet(tmp_path / "job" / "rollouts.parquet")
    assert rollouts["n_tokens"].max() == 16 - 7
    log = pl.read_parquet(tmp_path / "job" / "log.parquet")
    cut = log.filter(pl.col("metric") == "completions/clipped_ratio")["value"]
    assert cut.max() > 0, "they count as cut off"


def test_rollouts_end_where_the_chat_template_ends_a_turn(policy, rows, tmp_path, monkeypatch):
    from pipeline.engines.training import rl_trainer

    folder = shutil.copytree(
        policy, tmp_path / "base"
    )  # its declared end is that of a text, as Qwen2.5's base models'
    tokenizer = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps(tokenizer | {"eos_token": "<|pad|>"}))
    for name in ("config.json", "generation_config.json"):
        told = json.loads((folder / name).read_text())
        (folder / name).write_text(json.dumps(told | {"eos_token_id": told["pad_token_id"]}))
    ends, real = [], rl_trainer.decode
    monkeypatch.setattr(rl_trainer, "decode", lambda *a, **k: ends.append(k["eos"]) or real(*a, **k))
    run(tmp_path / "job", folder, rows, make_config(steps=1))
    assert ends[0] == [0, 1], "<|pad|> and <|end|>"


def test_a_prompt_that_fills_the_context_is_refused(short_sighted, tmp_path):
    problems = ["1+1?", "1+1?" * 9]
    pl.DataFrame({"id": ["a", "b"], "problem": problems, "answer": ["2", "2"]}).write_parquet(
        tmp_path / "rows.parquet"
    )
    with pytest.raises(
        InputError, match=r"problem 'b': its prompt has \d+ tokens and the model's context 16"
    ):
        run(tmp_path / "job", short_sighted, tmp_path / "rows.parquet", make_config())


@pytest.mark.parametrize(
    ("frame", "changes", "message"),
    [
        ({"id": ["a", "b"], "problem": ["x", "y"], "answer": ["1", None]}, {}, "row 'b' has no gold answer"),
        ({"id": ["a", "b"], "problem": ["x", "x"], "answer": ["1", "1"]}, {}, "1 distinct problems"),
        ({"id": ["a"], "problem": ["x"]}, {}, "column answer is missing"),
        ({"id": ["a", "b"], "problem": ["x", None], "answer": ["1", "1"]}, {}, "1 of 2 rows have no problem"),
    ],
)
def test_unusable_data_is_refused(policy, tmp_path, frame, changes, message):
    pl.DataFrame(frame).write_parquet(tmp_path / "rows.parquet")
    with pytest.raises(InputError, match=message):
        run(tmp_path / "job", policy, tmp_path / "rows.parquet", make_config(**changes))


@pytest.mark.parametrize(
    ("changes", "options", "message"),
    [
        ({}, {"save_steps": (5,)}, "checkpoint 5 is not between 1 and 4"),
        ({}, {"stop_after": 9}, "stop_after 9 is not between 1 and 4"),
    ],
)
def test_impossible_requests_are_refused(policy, rows, tmp_path, changes, options, message):
    with pytest.raises(InputError, match=message):
        run(tmp_path, policy, rows, make_config(**changes), **options)
