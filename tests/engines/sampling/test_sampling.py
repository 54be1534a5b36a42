"""Sampling: draws that depend on counters only, shards that survive a kill, siblings served once."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from pipeline.engines.sampling import protocol as sampling
from pipeline.engines.sampling.protocol import COLUMNS, Request, read_eos_token_ids, row_seed, sample_family
from pipeline.engines.sampling.shards import Shards
from pipeline.errors import InputError, StageError
from pipeline.stages.sample import SampleConfig
from pipeline.store.job import Job
from pipeline.store.record import writer_lock
from tests.support import ROOT

CONFIG = SampleConfig(
    samples=4, temperature=1.0, top_p=0.95, max_new_tokens=24, precision="fp32", batch_size=16
)


@pytest.fixture(scope="module")
def policy(tmp_path_factory) -> Path:
    """A random fp32 policy whose responses end by themselves now and then."""
    from pipeline.engines.policy.folder import save_policy
    from pipeline.engines.tiny import build_model, build_tokenizer
    from pipeline.stages.base import TinyModel

    config = TinyModel(hidden_size=32, layers=2, heads=4, kv_heads=2, intermediate_size=64, max_positions=256)
    tokenizer = build_tokenizer()
    model = build_model(config, len(tokenizer) + 9, tokenizer, seed=1)  # padded, as real ones are
    model.generation_config.eos_token_id = [tokenizer.eos_token_id, *range(20, 30)]
    folder = tmp_path_factory.mktemp("policy")
    save_policy(model, tokenizer, folder / "model")
    return folder


@pytest.fixture(scope="module")
def sampler(policy):
    from pipeline.engines.sampling.transformers_sampler import TransformersSampler

    return TransformersSampler(policy / "model", CONFIG)


def write_problems(folder: Path, n: int, name: str = "p") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    texts = ["What is " + " + ".join(str(1 + (i + j) % 9) for j in range(2 + i % 3)) + "?" for i in range(n)]
    frame = pl.DataFrame({"id": [f"{name}{i}" for i in range(n)], "problem": texts, "answer": ["1"] * n})
    frame.write_parquet(folder / "rows.parquet")
    return folder


def make_job(tmp_path: Path, policy: Path, n: int = 12, config: SampleConfig = CONFIG, **hints) -> Job:
    inputs = {"policy": (policy,), "problems": (write_problems(tmp_path / "problems", n),)}
    folder = tmp_path / "job"
    folder.mkdir(exist_ok=True)
    return Job(
        key="sample-1", stage="sample", config=config, seed=5, inputs=inputs, folder=folder, hints=hints
    )


def make_requests(n: int, max_tokens: int = 40) -> list[Request]:
    return [Request(i, tuple(range(5, 9 + i % 7)), row_seed(0, f"p{i}", 0), max_tokens) for i in range(n)]


def test_completions_have_the_schema_and_the_order_of_the_contract(tmp_path, policy):
    job = make_job(tmp_path, policy)
    facts = sample_family(job)
    found = pl.read_parquet(job.folder / "completions.parquet")
    assert tuple(found.columns) == COLUMNS
    assert found.select("problem_id", "sample_index").rows() == [
        (f"p{i}", k) for i in range(12) for k in range(4)
    ]
    assert found["seed"].to_list()[5] == row_seed(5, "p1", 1)
    assert found.dtypes[1:3] == [pl.Int64, pl.Int64] and found["n_tokens"].max() <= 24
    assert set(found["finish_reason"]) == {"stop", "length"}
    cut = found.filter(pl.col("finish_reason") == "length")
    assert set(cut["n_tokens"]) == {24} and facts["truncated"] == len(cut) / 48
    assert facts["responses"] == 48 and facts["generated_tokens"] == found["n_tokens"].sum()
    assert facts["tokens_per_second"] > 0 and facts["version_torch"]


def test_batch_size_and_order_of_work_never_change_a_response(sampler):
    requests = make_requests(40)
    alone = {r.position: r for r in sampler.sample(requests, CONFIG.model_copy(update={"batch_size": 1}))}
    for size in (7, 64):
        together = sampler.sample(requests[::-1], CONFIG.model_copy(update={"batch_size": size}))
        assert {r.position: r for r in together} == alone
    assert len({len(r.token_ids) for r in alone.values()}) > 5, "the rows should end at different times"


def test_shard_size_never_changes_the_file(tmp_path, policy):
    files = []
    for rows in (5, 256):
        job = make_job(tmp_path / str(rows), policy, config=CONFIG.model_copy(update={"shard_rows": rows}))
        sample_family(job)
        files.append(pl.read_parquet(job.folder / "completions.parquet"))
    assert files[0].equals(files[1])


def test_loop_agrees_with_greedy_generate_of_transformers(sampler):
    import torch

    greedy = CONFIG.model_copy(update={"temperature": 0.0})
    ours = {r.position: r.token_ids for r in sampler.sample(make_requests(9, 20), greedy)}
    for request in make_requests(9, 20):
        ids = torch.tensor([request.prompt_ids])
        with torch.inference_mode():
            whole = sampler.model.generate(
                ids, attention_mask=torch.ones_like(ids), max_new_tokens=20, do_sample=False,
                eos_token_id=sampler.eos, pad_token_id=0,
            )  # fmt: skip
        theirs = [t for t in whole[0, ids.shape[1] :].tolist() if t not in sampler.eos]
        assert ours[request.position] == tuple(theirs)


def test_draws_follow_the_softmax():
    import torch

    from pipeline.engines.sampling.counter_rng import counter_uniforms, draw_tokens

    logits, n = torch.tensor([2.0, 1.0, 0.5, -1.0, 0.0]), 40_000
    seeds = torch.tensor([row_seed(3, "x", i) for i in range(n // 8)]).repeat(8)
    steps = torch.arange(8).repeat_interleave(n // 8)
    drawn = draw_tokens(logits.expand(n, 5), counter_uniforms(seeds, steps), 0.7, 1.0)
    expected = (logits / 0.7).softmax(-1) * n
    chi_square = ((torch.bincount(drawn, minlength=5) - expected) ** 2 / expected).sum().item()
    assert chi_square < 18.5, "p < 0.001 with 4 degrees of freedom"


def test_uniforms_are_uniform_and_uncorrelated_between_steps():
    import torch

    from pipeline.engines.sampling.counter_rng import counter_uniforms

    seeds = torch.arange(20_000)  # neighbouring seeds are the hard case
    one, two = (counter_uniforms(seeds, torch.full_like(seeds, step)) for step in (0, 1))
    counts = torch.histc(one, bins=20, min=0, max=1)
    assert ((counts - 1000) ** 2 / 1000).sum() < 44, "p < 0.001 with 19 degrees of freedom"
    assert abs(torch.corrcoef(torch.stack([one, two]))[0, 1]) < 0.03
    assert abs(torch.corrcoef(torch.stack([one[:-1], one[1:]]))[0, 1]) < 0.03
    assert one.min() >= 0 and one.max() < 1


@pytest.mark.parametrize("vocabulary", [6, 1000])
def test_top_p_keeps_the_smallest_set_that_reaches_its_mass(vocabulary):
    import torch

    from pipeline.engines.sampling.counter_rng import keep_nucleus

    torch.manual_seed(0)
    probabilities = (torch.randn(32, vocabulary) * (0.1 if vocabulary == 1000 else 2)).softmax(-1)
    kept = keep_nucleus(probabilities, 0.8)
    for row, mine in zip(probabilities.double(), kept.double(), strict=True):
        order = row.argsort(descending=True)
        size = int((row[order].cumsum(0) < 0.8).sum()) + 1
        assert set(mine.nonzero().flatten().tolist()) == set(order[:size].tolist())


def test_a_killed_job_resumes_after_its_last_shard(tmp_path, policy):
    config = CONFIG.model_copy(update={"shard_rows": 8, "batch_size": 2, "max_new_tokens": 60})
    whole = make_job(tmp_path / "whole", policy, n=16, config=config)
    sample_family(whole)
    job = make_job(tmp_path / "killed", policy, n=16, config=config)
    program = (
        "import sys; sys.path.insert(0, sys.argv[1]); from pathlib import Path; import tests.engines.sampling.test_sampling as t;"
        "t.sample_family(t.make_job(Path(sys.argv[2]), Path(sys.argv[3]), 16, t.CONFIG.model_copy(update="
        "{'shard_rows': 8, 'batch_size': 2, 'max_new_tokens': 60})))"
    )
    here = str(ROOT)
    child = subprocess.Popen(
        [sys.executable, "-c", program, here, str(tmp_path / "killed"), str(policy)],
        env={**os.environ, "OMP_NUM_THREADS": "1"}, cwd=here,
    )  # fmt: skip
    while len(list(job.work.glob("shard-*"))) < 3 and child.poll() is None:
        time.sleep(0.005)
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert not (job.folder / "completions.parquet").exists()
    saved = {path: path.stat().st_mtime_ns for path in job.work.glob("shard-*")}
    assert 3 <= len(saved) < 8
    sample_family(job)
    ours, theirs = (pl.read_parquet(j.folder / "completions.parquet") for j in (job, whole))
    assert ours.equals(theirs)


@pytest.mark.parametrize("left", [b"", b"PAR1 and half of it"], ids=["empty", "torn"])
def test_a_damaged_shard_is_named_and_drawn_again_and_no_other_is_lost(
    tmp_path, policy, sampler, capsys, left
):
    config = CONFIG.model_copy(update={"shard_rows": 8, "top_p": 1.0})
    job, whole = (make_job(tmp_path / name, policy, config=config) for name in ("damaged", "whole"))
    sample_family(whole)
    rows = sampling._wanted_rows(job)
    sampling.sample_missing(job, sampler, rows[:24], Shards(job.work, rows[:24]))
    damaged, last = job.work / "shard-00001.parquet", job.work / "shard-00002.parquet"
    damaged.write_bytes(left)
    kept = last.read_bytes()
    shards = Shards(job.work, rows)
    assert len(shards.done) == 16 and "shard-00001.parquet" in capsys.readouterr().err
    shards.save(list(sampler.sample([Request(40, (5, 6), 1, 4)], config)), sampler, 1.0)
    assert last.read_bytes() == kept and (job.work / "shard-00003.parquet").exists()
    (job.work / "shard-00003.parquet").unlink()
    sample_family(job)
    ours, theirs = (pl.read_parquet(j.folder / "completions.parquet") for j in (job, whole))
    assert ours.equals(theirs)


def family(tmp_path: Path, policy: Path) -> tuple[Job, Job]:
    """A leader, and the sibling's own job as its caller would start it."""
    config = CONFIG.model_copy(update={"samples": 2, "temperature": 0.6})
    problems = write_problems(tmp_path / "other", 5, "q")
    member = {
        "key": "sample-2",
        "config": json.loads(config.model_dump_json()),
        "seed": 9,
        "problems": str(problems),
        "folder": str(tmp_path / "sibling"),
    }
    leader = make_job(tmp_path, policy, n=4, family=(member,))
    inputs = {"policy": (policy,), "problems": (problems,)}
    sibling = Job("sample-2", "sample", config, 9, inputs, tmp_path / "sibling")
    return leader, sibling


def test_a_sibling_publishes_what_its_leader_sampled_and_loads_no_model(tmp_path, policy):
    leader, sibling = family(tmp_path, policy)
    sample_family(leader)
    assert (sibling.folder / "work" / "ready.parquet").exists()
    assert not (sibling.folder / "completions.parquet").exists()
    program = (
        "import sys, json; from pathlib import Path; from pipeline.store.job import Job\n"
        "from pipeline.stages.sample import SampleConfig; from pipeline.engines.sampling.protocol import sample_family\n"
        "a = json.loads(sys.argv[1]); c = SampleConfig.model_validate_json(json.dumps(a['config']))\n"
        "i = {'policy': (Path('nowhere'),), 'problems': (Path(a['problems']),)}\n"
        "print(json.dumps(sample_family(Job(a['key'], 'sample', c, a['seed'], i, Path(a['folder'])))))\n"
        "assert not {'torch', 'transformers'} & set(sys.modules)"
    )
    run = subprocess.run(
        [sys.executable, "-c", program, json.dumps(leader.hints["family"][0])],
        cwd=ROOT, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    published = pl.read_parquet(sibling.folder / "completions.parquet")
    alone = replace(sibling, folder=tmp_path / "alone")
    sample_family(alone)
    assert published.equals(pl.read_parquet(alone.folder / "completions.parquet"))
    assert json.loads(run.stdout)["responses"] == 10
    assert sample_family(sibling)["responses"] == 10, "a second call finds the published file"


def test_a_sibling_that_is_being_written_is_left_alone(tmp_path, policy):
    leader, sibling = family(tmp_path, policy)
    with writer_lock(sibling.folder):
        sample_family(leader)
    assert not (sibling.folder / "work" / "ready.parquet").exists()
    assert (leader.folder / "completions.parquet").exists()


def test_a_sibling_that_fails_does_not_take_its_leader_with_it(tmp_path, policy, monkeypatch, capsys):
    leader, sibling = family(tmp_path, policy)
    real = sampling.sample_missing

    def fail(job, *others):
        if job.key == sibling.key:
            raise StageError("the model's logits are no finite numbers")
        real(job, *others)

    monkeypatch.setattr(sampling, "sample_missing", fail)
    assert sample_family(leader)["responses"] == 16
    assert "sample-2: left to its own job: the model's logits" in capsys.readouterr().err
    (sibling.one("problems") / "rows.parquet").write_bytes(b"torn")
    with pytest.raises(InputError, match=r"rows\.parquet: not readable"):
        sample_family(sibling)


def test_rows_left_for_another_seed_are_not_published(tmp_path, policy):
    leader, sibling = family(tmp_path, policy)
    sample_family(leader)
    other = replace(sibling, seed=10)
    sample_family(other)
    assert pl.read_parquet(other.folder / "completions.parquet")["seed"][0] == row_seed(10, "q0", 0)


def test_the_chat_templates_end_of_a_turn_ends_a_response(tmp_path, policy):
    from transformers import AutoTokenizer

    (tmp_path / "config.json").write_text('{"eos_token_id": 7}')
    tokenizer = AutoTokenizer.from_pretrained(policy / "model")
    end, other = tokenizer.convert_tokens_to_ids(["<|end|>", "<|pad|>"])
    tokenizer.eos_token = "<|pad|>"  # as Qwen2.5's base models: the end of a text, not of a turn
    assert read_eos_token_ids(tmp_path, tokenizer) == sorted([7, end, other])
    tokenizer.chat_template = "{% for message in messages %}{{ message['content'] }}\n{% endfor %}"
    assert read_eos_token_ids(tmp_path, tokenizer) == sorted([7, other])
    tokenizer.chat_template = "{{ raise_exception('no') }}"
    assert read_eos_token_ids(tmp_path, tokenizer) == sorted([7, other])


def test_prompts_beyond_the_context_are_refused_and_responses_end_with_it(tmp_path, policy):
    job = make_job(tmp_path, policy, n=1, config=CONFIG.model_copy(update={"max_new_tokens": 1000}))
    sample_family(job)
    assert pl.read_parquet(job.folder / "completions.parquet")["n_tokens"].max() < 256
    long = make_job(tmp_path / "long", policy, n=1)
    row = {"id": ["a"], "problem": ["?!" * 300], "answer": ["1"]}
    pl.DataFrame(row).write_parquet(long.one("problems") / "rows.parquet")
    with pytest.raises(InputError, match="problem 'a': its prompt has"):
        sample_family(long)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"id": ["a"], "answer": ["1"]}, "column 'problem' is missing"),
        ({"id": ["a", "a"], "problem": ["x", "y"], "answer": ["1", "1"]}, "id 'a' appears more than once"),
        ({"id": [], "problem": [], "answer": []}, "there are no rows"),
        ({"id": ["a"], "problem": [None], "answer": ["1"]}, "'problem' is empty"),
    ],
)
def test_unusable_problems_are_refused(tmp_path, policy, columns, message):
    job = make_job(tmp_path, policy)
    schema = dict.fromkeys(columns, pl.String)
    pl.DataFrame(columns, schema=schema).write_parquet(job.one("problems") / "rows.parquet")
    with pytest.raises(InputError, match=message):
        sample_family(job)
