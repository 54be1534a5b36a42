"""The vLLM engine for real, on a tiny model, under the interpreter of its own environment."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import polars as pl
import pytest

from pipeline.engines import dialogue, sample
from pipeline.engines.sampling.protocol import row_seed
from pipeline.engines.sampling.requests import COLUMNS
from pipeline.errors import InputError
from pipeline.stages.dialogue import DialogueConfig
from pipeline.stages.sample import SampleConfig
from pipeline.stages.solve import SolveConfig
from pipeline.store.job import Job
from tests.support.guesser import make_guesser
from tests.support.vllm import PYTHON, environment, needs_vllm

pytestmark = pytest.mark.xdist_group("vllm")
CONFIG = SampleConfig(
    samples=4, temperature=1.0, top_p=0.9, max_new_tokens=24, precision="fp32", engine="vllm"
)
GREEDY = CONFIG.model_copy(update={"samples": 1, "temperature": 0.0})

PROGRAM = """
import json, sys
from pathlib import Path
from pipeline.engines import sample
from pipeline.engines.sampling import load
from pipeline.engines.sampling.protocol import Request
from pipeline.engines.sampling.vllm_sampler import VllmSampler
from pipeline.store.job import Job
from pipeline.stages.sample import SampleConfig

def main():
    told = json.loads(sys.argv[1])
    config = SampleConfig.model_validate_json(json.dumps(told["config"]))
    inputs = {role: (Path(path),) for role, path in told["inputs"].items()}
    job = Job("sample-1", "sample", config, 5, inputs, Path(told["folder"]), hints={"family": told["family"]})
    kept = []
    original = load.load_sampler
    load.load_sampler = lambda *a: kept.append(original(*a)) or kept[-1]
    facts = sample.run(job)
    requests = [Request(i, tuple(range(5, 9 + i % 7)), i, 20) for i in range(12)]
    answers = [sorted(kept[0].sample(some, config), key=lambda r: r.position) for some in (requests, requests[::-1])]
    alone = [r for request in requests for r in kept[0].sample([request], config)]
    same = answers[0] == answers[1] == alone
    print("RESULT", json.dumps({"facts": facts, "engines": len(kept), "same": same}))

if __name__ == "__main__":
    main()
"""


@pytest.fixture(scope="module")
def policy(tmp_path_factory) -> Path:
    """A random policy whose folder asks for top_k 1, which must never be obeyed."""
    from pipeline.engines.policy.folder import save_policy
    from pipeline.engines.policy.tiny import build_model, build_tokenizer
    from pipeline.stages.base import TinyModel

    config = TinyModel(hidden_size=64, layers=2, heads=2, kv_heads=1, intermediate_size=64, max_positions=256)
    tokenizer = build_tokenizer()
    model = build_model(config, len(tokenizer) + 9, tokenizer, seed=1)
    folder = tmp_path_factory.mktemp("policy")
    save_policy(model, tokenizer, folder / "model")
    note = folder / "model" / "generation_config.json"
    defaults = json.loads(note.read_text()) | {"eos_token_id": [tokenizer.eos_token_id, *range(20, 30)]}
    note.write_text(json.dumps(defaults | {"top_k": 1, "do_sample": True, "temperature": 0.01}))
    return folder


@pytest.fixture(scope="module")
def sampled(policy, tmp_path_factory):
    """One engine start for all tests: a leader with one greedy sibling, then direct calls."""
    folder = tmp_path_factory.mktemp("vllm")
    problems = pl.DataFrame(
        {"id": ["a", "b", "c"], "problem": ["1+1?", "What is 2+2?", "3"], "answer": ["2", "4", "3"]}
    )
    problems.write_parquet(folder / "rows.parquet")
    member = {"key": "sample-2", "config": json.loads(GREEDY.model_dump_json()), "seed": 9}
    told = {
        "config": json.loads(CONFIG.model_dump_json()),
        "inputs": {"policy": str(policy), "problems": str(folder)},
        "folder": str(folder / "leader"),
        "family": [
            member
            | {
                "inputs": {"policy": [str(policy)], "problems": [str(folder)]},
                "folder": str(folder / "sibling"),
            }
        ],
    }
    (folder / "program.py").write_text(PROGRAM)
    run = subprocess.run(
        [PYTHON, folder / "program.py", json.dumps(told)], cwd=folder, capture_output=True, text=True, timeout=300,
        env=environment(),
    )  # fmt: skip
    assert run.returncode == 0, run.stderr[-3000:]
    result = next(line for line in run.stdout.splitlines() if line.startswith("RESULT"))
    return folder, json.loads(result.removeprefix("RESULT "))


@needs_vllm
def test_vllm_writes_the_completions_of_the_contract(sampled):
    folder, result = sampled
    found = pl.read_parquet(folder / "leader" / "completions.parquet")
    assert tuple(found.columns) == COLUMNS and found.height == 12
    assert found["seed"].to_list() == [row_seed(5, name, k) for name in "abc" for k in range(4)]
    assert set(found["finish_reason"]) == {"stop", "length"}
    assert set(found.filter(pl.col("finish_reason") == "length")["n_tokens"]) == {24}
    assert found.filter(pl.col("finish_reason") == "stop")["n_tokens"].max() < 24
    assert result["facts"]["version_vllm"].startswith("0.31") and result["facts"]["tokens_per_second"] > 0


@needs_vllm
def test_the_model_folders_own_sampling_defaults_never_apply(sampled):
    found = pl.read_parquet(sampled[0] / "leader" / "completions.parquet")
    assert found["response"].n_unique() == 12, "top_k 1 of generation_config.json would make samples equal"


@needs_vllm
def test_one_engine_serves_the_family_and_order_never_changes_a_response(sampled):
    assert sampled[1]["engines"] == 1
    assert sampled[1]["same"]


@needs_vllm
def test_greedy_responses_equal_those_of_transformers(sampled, policy, tmp_path):
    left = pl.read_parquet(sampled[0] / "sibling" / "work" / "ready.parquet")
    config = GREEDY.model_copy(update={"engine": "transformers"})
    job = Job("x", "sample", config, 9, {"policy": (policy,), "problems": (sampled[0],)}, tmp_path)
    sample.run(job)
    assert pl.read_parquet(tmp_path / "completions.parquet").equals(left)


MAKING = """
import importlib, json, sys
from pathlib import Path
from pipeline import stages
from pipeline.store.job import Job

def main():
    for told in json.loads(sys.argv[1]):
        config = stages.load(told["stage"]).config.model_validate_json(json.dumps(told["config"]))
        inputs = {role: (Path(path),) for role, path in told["inputs"].items()}
        run = importlib.import_module("pipeline.engines." + told["stage"]).run
        facts = run(Job("made", told["stage"], config, 5, inputs, Path(told["folder"])))
        print("FACTS", json.dumps(facts))

if __name__ == "__main__":
    main()
"""


@needs_vllm
def test_rejection_rounds_and_dialogues_run_on_vllm_as_on_transformers(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made")
    guesser = make_guesser(tmp_path_factory, heads=1)  # vLLM's kernels want heads of 32 and more
    names = [f"p{i}" for i in range(8)]
    problems = [f"What is {i}+{i}?" for i in range(8)]
    rows = pl.DataFrame({"id": names, "problem": problems, "answer": [str(i % 10) for i in range(8)]})
    rows.write_parquet(folder / "rows.parquet")
    inputs = {"policy": str(guesser), "rows": str(folder)}
    protocol = {"max_new_tokens": 6, "precision": "fp32", "engine": "vllm"}
    said = {"assess": "Right?", "revise": "Again!", "summarise": "In short?"}
    configs = {
        "solve": SolveConfig(**protocol, temperature=1.0, top_p=1.0, rounds=(1, 24)),
        "dialogue": DialogueConfig(**protocol, temperature=0.0, top_p=1.0, samples=1, **said),
    }
    told = [
        {
            "stage": stage,
            "config": json.loads(config.model_dump_json()),
            "inputs": inputs,
            "folder": str(folder / stage),
        }
        for stage, config in configs.items()
    ]
    for stage in configs:
        (folder / stage).mkdir()
    (folder / "program.py").write_text(MAKING)
    run = subprocess.run(
        [PYTHON, folder / "program.py", json.dumps(told)], cwd=folder, capture_output=True, text=True, timeout=300,
        env=environment(),
    )  # fmt: skip
    assert run.returncode == 0, run.stderr[-3000:]
    facts = [
        json.loads(line.removeprefix("FACTS "))
        for line in run.stdout.splitlines()
        if line.startswith("FACTS")
    ]
    draws = pl.read_parquet(folder / "solve" / "completions.parquet")
    assert 0 < facts[0]["solved"] == draws.filter("correct")["problem_id"].n_unique()
    tried = set(draws.filter(pl.col("round") == 2)["problem_id"])
    assert tried == set(names) - set(draws.filter((pl.col("round") == 1) & pl.col("correct"))["problem_id"])
    assert facts[0]["version_vllm"] and facts[1]["version_vllm"]

    config = configs["dialogue"].model_copy(update={"engine": "transformers"})
    (folder / "transformers").mkdir()
    given = {role: (Path(path),) for role, path in inputs.items()}
    dialogue.run(Job("made", "dialogue", config, 5, given, folder / "transformers"))
    ours, theirs = (
        pl.read_parquet(folder / name / "dialogues.parquet") for name in ("dialogue", "transformers")
    )
    assert ours.height == 8 and ours.equals(theirs)


def test_an_interpreter_without_vllm_is_refused_with_the_remedy(policy, tmp_path):
    pytest.importorskip("torch")
    try:
        import vllm  # noqa: F401
    except ImportError:
        rows = pl.DataFrame({"id": ["a"], "problem": ["1"], "answer": ["1"]})
        rows.write_parquet(tmp_path / "rows.parquet")
        job = Job("x", "sample", CONFIG, 9, {"policy": (policy,), "problems": (tmp_path,)}, tmp_path)
        with pytest.raises(InputError, match="no vLLM") as caught:
            sample.run(job)
        assert "envs/vllm.txt" in caught.value.remedy
    else:
        pytest.skip("this interpreter has vLLM")


ROLLOUTS = """
import json, sys
from types import SimpleNamespace
from pipeline.engines.training.rl_trainer import _GrpoTrainer

def main():
    from vllm import LLM, SamplingParams
    llm = LLM(model=sys.argv[1], max_model_len=128, enforce_eager=True, dtype="float32", seed=0)
    plain = llm.generate

    def draw(seed, step, process):
        llm.generate = plain
        trainer = SimpleNamespace(
            vllm_generation=SimpleNamespace(llm=llm), accelerator=SimpleNamespace(process_index=process),
            args=SimpleNamespace(seed=seed, vllm_tensor_parallel_size=2), state=SimpleNamespace(global_step=None),
        )
        _GrpoTrainer.seed_vllm(trainer)
        trainer.state.global_step = step
        prompts = [{"prompt_token_ids": [5, 6, 7, 8]}] * 4
        answers = llm.generate(prompts, sampling_params=SamplingParams(max_tokens=24, ignore_eos=True), use_tqdm=False)
        return [list(answer.outputs[0].token_ids) for answer in answers]

    asked = [(1, 0, 0), (2, 0, 0), (1, 1, 0), (1, 0, 0), (1, 0, 1), (1, 0, 2)]
    print("RESULT", json.dumps([draw(*each) for each in asked]))

if __name__ == "__main__":
    main()
"""


@needs_vllm
def test_rollouts_beside_a_training_follow_from_the_study_seed_the_update_and_their_place(policy, tmp_path):
    (tmp_path / "program.py").write_text(ROLLOUTS)
    run = subprocess.run(
        [PYTHON, tmp_path / "program.py", policy / "model"], cwd=tmp_path, capture_output=True, text=True, timeout=300,
        env=environment(VLLM_ENABLE_V1_MULTIPROCESSING="0"),
    )  # fmt: skip
    assert run.returncode == 0, run.stderr[-3000:]
    result = next(line for line in run.stdout.splitlines() if line.startswith("RESULT"))
    first, other_seed, other_update, again, same_group, other_group = json.loads(
        result.removeprefix("RESULT ")
    )
    assert len({tuple(tokens) for tokens in first}) == 4, "a group is not one answer four times"
    assert first == again == same_group, "the processes that share a copy of the model draw the same"
    for other in (other_seed, other_update, other_group):
        assert not any(tokens in first for tokens in other)
