"""A judge served by vLLM's own OpenAI server, and the same judge loaded by both local engines: one truth for all."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import time
from pathlib import Path

import httpx
import polars as pl
import pytest

from pipeline.engines.judge import judge
from pipeline.errors import InputError, StageError
from pipeline.stages.judge import JudgeConfig
from pipeline.store.job import Job
from tests.support import tiny_judge
from tests.support.judge_jobs import read_verdicts
from tests.support.vllm import PYTHON, environment, needs_vllm

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("vllm")]

KEY, MODEL = "loopback-key-7f3a", "tiny-judge"
N = 24
LABELS = {tiny_judge.REFLECTS: "reflective", tiny_judge.STRAIGHT: "direct", tiny_judge.MUTE: None}
START_SECONDS = 240

STAGE = """
import json, sys
from pathlib import Path
from pipeline.engines.judge import judge
from pipeline.store.job import Job
from pipeline.stages.judge import JudgeConfig

if __name__ == "__main__":
    told = json.loads(sys.argv[1])
    config = JudgeConfig.model_validate_json(json.dumps(told["config"]))
    inputs = {role: (Path(path),) for role, path in told["inputs"].items()}
    judge(Job("judge-1", "judge", config, 0, inputs, Path(told["folder"])))
"""


@pytest.fixture(scope="module")
def policy(tmp_path_factory) -> Path:
    return tiny_judge.build(tmp_path_factory.mktemp("judge"))


@pytest.fixture(scope="module")
def completions(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("completions")
    rows = tiny_judge.make_rows(N, seed=7)
    ids = {"problem_id": [f"p{i}" for i in range(N)], "sample_index": [0] * N}
    pl.DataFrame({**ids, **{f: [row[f] for row in rows] for f in ("problem", "response")}}).write_parquet(
        folder / "completions.parquet"
    )
    return folder


@pytest.fixture(scope="module")
def url(policy, tmp_path_factory):
    """vLLM's server with the tiny judge, which wants a key."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    log = (tmp_path_factory.mktemp("server") / "log.txt").open("wb")
    words = ["--model", policy / "model", "--served-model-name", MODEL, "--host", "127.0.0.1", "--port", port]
    server = subprocess.Popen(
        [PYTHON, "-m", "vllm.entrypoints.openai.api_server", *words, "--dtype", "float32", "--enforce-eager",
         "--max-model-len", str(tiny_judge.CONTEXT), "--generation-config", "vllm"],
        stdout=log, stderr=subprocess.STDOUT, env=environment(VLLM_API_KEY=KEY), start_new_session=True,
    )  # fmt: skip
    try:
        _wait_until_healthy(server, f"http://127.0.0.1:{port}/health", Path(log.name))
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        server.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(timeout=30)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGKILL)  # the server's own group: its engine's processes
        log.close()


def _wait_until_healthy(server: subprocess.Popen, health: str, log: Path) -> None:
    started = time.monotonic()
    while time.monotonic() - started < START_SECONDS:
        assert server.poll() is None, log.read_text()[-3000:]
        try:
            if httpx.get(health, timeout=5).status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.5)
    pytest.fail(f"the server did not start in {START_SECONDS} s: {log.read_text()[-3000:]}")


@pytest.fixture
def with_key(monkeypatch):
    monkeypatch.setenv("JUDGE_KEY", KEY)


def make_job(folder: Path, inputs: dict[str, Path], **settings) -> Job:
    """A job with the settings that all engines share."""
    shared = {"judge": "reflection", "max_new_tokens": 40, "max_unreadable": 0.5, "precision": "fp32"}
    folder.mkdir(parents=True, exist_ok=True)
    config = JudgeConfig.model_validate(shared | settings)
    return Job("judge-1", "judge", config, 0, {role: (path,) for role, path in inputs.items()}, folder)


def endpoint_job(tmp_path: Path, completions: Path, url: str, **settings) -> Job:
    served = {"engine": "openai", "model": MODEL, "url": url, "key_variable": "JUDGE_KEY", "retries": 1}
    return make_job(tmp_path / "job", {"completions": completions}, **(served | settings))


def expected(n: int = N) -> list[str | None]:
    """What the judge was trained to say about the rows."""
    return [LABELS[tiny_judge.reply_to(row["response"])] for row in tiny_judge.make_rows(n, seed=7)]


def test_the_local_transformers_engine_says_what_the_judge_has_learnt(tmp_path, policy, completions):
    job = make_job(tmp_path / "job", {"completions": completions, "policy": policy}, engine="transformers")
    facts = judge(job)
    found = read_verdicts(job)
    assert found["label"].to_list() == expected() and len(set(expected())) == 3
    assert set(found["n_attempts"]) == {1}, "a greedy reply would be the same again"
    assert facts["version_transformers"] and facts["tokens_in"] > 0 and facts["served"] == []
    assert facts["unreadable"] == expected().count(None)


def test_a_local_judge_asks_again_where_the_temperature_is_above_zero(tmp_path, policy, completions):
    job = make_job(
        tmp_path / "job", {"completions": completions, "policy": policy}, engine="transformers",
        temperature=0.3, shard_rows=10,
    )  # fmt: skip
    judge(job)
    found = read_verdicts(job)
    assert found["n_attempts"].to_list() == [2 if label is None else 1 for label in found["label"]]


def test_a_local_judge_refuses_a_question_beyond_its_context(tmp_path, policy):
    long = pl.DataFrame({"problem_id": ["p"], "sample_index": [0], "problem": ["x"], "response": ["y" * 600]})
    long.write_parquet(tmp_path / "completions.parquet")
    job = make_job(tmp_path / "job", {"completions": tmp_path, "policy": policy}, engine="transformers")
    with pytest.raises(InputError, match=r"problem 'p' \(sample 0\): the judge's question has 6\d\d tokens"):
        judge(job)


@needs_vllm
def test_the_server_the_vllm_engine_and_transformers_agree_on_every_reply(
    tmp_path, policy, completions, url, with_key
):
    served = endpoint_job(tmp_path / "served", completions, url)
    facts = judge(served)
    inputs = {"completions": completions, "policy": policy}
    by_hand = make_job(tmp_path / "transformers", inputs, engine="transformers")
    same = judge(by_hand)
    engine = make_job(tmp_path / "vllm", inputs, engine="vllm")
    (tmp_path / "stage.py").write_text(STAGE)
    told = {
        "config": json.loads(engine.config.model_dump_json()),
        "inputs": {role: str(path) for role, (path,) in engine.inputs.items()},
        "folder": str(engine.folder),
    }
    run = subprocess.run(
        [PYTHON, tmp_path / "stage.py", json.dumps(told)], cwd=tmp_path, env=environment(),
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr[-3000:]
    assert read_verdicts(served)["label"].to_list() == expected()
    assert read_verdicts(engine).equals(read_verdicts(by_hand))
    assert read_verdicts(served)["reply"].equals(read_verdicts(by_hand)["reply"])
    mute = expected().count(None)
    assert facts["served"] == [MODEL] and facts["requests"] == N + mute and facts["unreadable"] == mute
    alone = pl.read_parquet(completions / "completions.parquet")["response"].str.contains("???", literal=True)
    assert facts["tokens_in"] > same["tokens_in"] and alone.sum() == mute


@needs_vllm
def test_a_reply_that_the_server_cuts_is_unreadable(tmp_path, completions, url, with_key):
    job = endpoint_job(tmp_path, completions, url, max_new_tokens=1, max_unreadable=1.0)
    facts = judge(job)
    assert facts["unreadable"] == N and set(read_verdicts(job)["n_attempts"]) == {2}


@needs_vllm
def test_the_server_refuses_a_wrong_key_and_an_unknown_model(tmp_path, completions, url, monkeypatch):
    monkeypatch.setenv("JUDGE_KEY", "another-key")
    with pytest.raises(InputError, match=r"refuses the key in \$JUDGE_KEY: 401"):
        judge(endpoint_job(tmp_path / "key", completions, url))
    monkeypatch.setenv("JUDGE_KEY", KEY)
    with pytest.raises(InputError, match=r"model 'gpt-9' does not: .*gpt-9"):
        judge(endpoint_job(tmp_path / "model", completions, url, model="gpt-9"))


@needs_vllm
def test_a_text_beyond_the_servers_context_is_named(tmp_path, url, with_key):
    long = pl.DataFrame({"problem_id": ["p"], "sample_index": [0], "problem": ["x"], "response": ["y" * 600]})
    long.write_parquet(tmp_path / "completions.parquet")
    with pytest.raises(StageError, match=r"problem 'p' \(sample 0\): .* refuses the request: 400") as caught:
        judge(endpoint_job(tmp_path, tmp_path, url))
    assert "longer context" in caught.value.remedy


@needs_vllm
def test_replies_at_a_temperature_follow_from_the_seed(tmp_path, completions, url, with_key):
    runs = []
    for name, seed in (("a", 1), ("b", 1)):
        job = endpoint_job(
            tmp_path / name, completions, url, temperature=1.5, seed=seed, max_unreadable=1.0, parallel=1
        )
        judge(job)
        runs.append(read_verdicts(job))
    assert runs[0].equals(runs[1])
