"""Faults of a judge's endpoint, caused for real on loopback: what passes, what ends the stage, what is never lost."""

from __future__ import annotations

import email.utils
import itertools
import os
import signal
import socket
import subprocess
import sys
import time

import polars as pl
import pytest

from pipeline.engines.judge import SCHEMA, judge
from pipeline.errors import InputError, StageError, StudyError
from tests.support import ROOT
from tests.support.endpoint import Answer, Seen, say, serve
from tests.support.judge_jobs import make_job, read_verdicts

KEY = "sk-very/secret+123"


def reflect_on_odd_samples(seen: Seen) -> Answer:
    return say("It rechecks. 2." if "/1> is" in seen.text else "Straight. 1.")


def test_every_response_gets_its_verdict_in_the_order_of_the_input(tmp_path):
    with serve(reflect_on_odd_samples) as endpoint:
        job = make_job(tmp_path, endpoint.url, n=20)
        facts = judge(job)
    found = read_verdicts(job)
    assert dict(found.schema) == SCHEMA
    assert found.select("problem_id", "sample_index").rows() == [
        (f"p{i:03d}", k) for i in range(20) for k in (0, 1)
    ]
    assert found["label"].to_list() == ["direct", "reflective"] * 20
    assert found["is_positive"].to_list() == [False, True] * 20
    assert set(found["n_attempts"]) == {1}
    assert facts["labels"] == {"off_topic": 0, "direct": 20, "reflective": 20, "code_only": 0}
    assert (facts["n"], facts["problems"], facts["positive"], facts["unreadable"]) == (40, 20, 20, 0)
    assert (facts["requests"], facts["retries"], facts["tokens_in"], facts["tokens_out"]) == (
        40, 0, 4000, 280,
    )  # fmt: skip
    assert facts["served"] == ["judge-2026"]
    assert 2 <= endpoint.most_at_once <= 4


def test_the_request_is_the_protocol_and_nothing_else(tmp_path):
    with serve(reflect_on_odd_samples) as endpoint:
        judge(make_job(tmp_path, endpoint.url + "/", n=1, samples=1))
    (seen,) = endpoint.seen
    assert seen.path == "/v1/chat/completions"
    assert set(seen.body) == {"model", "messages", "temperature", "max_tokens"}
    assert (seen.body["model"], seen.body["temperature"], seen.body["max_tokens"]) == ("judge", 0.0, 300)
    assert [message["role"] for message in seen.body["messages"]] == ["user"]
    assert "Authorization" not in {name.title() for name in seen.headers}


def test_problems_of_a_data_set_are_judged_too(tmp_path):
    (tmp_path / "rows").mkdir()
    pl.DataFrame({"id": ["a", "b"], "problem": ["Find x.", "See figure."]}).write_parquet(
        tmp_path / "rows" / "rows.parquet"
    )
    with serve(lambda seen: say("r\nnoisy" if "figure." in seen.text[-20:] else "r\nclean")) as endpoint:
        job = make_job(tmp_path, endpoint.url, judge="clean_question")
        job.inputs.pop("completions")
        job.inputs["rows"] = (tmp_path / "rows",)
        judge(job)
    found = read_verdicts(job)
    assert found.select("problem_id", "sample_index", "label", "is_positive").rows() == [
        ("a", 0, "clean", True),
        ("b", 0, "noisy", False),
    ]


def test_a_judge_of_responses_refuses_a_data_set_without_any(tmp_path):
    (tmp_path / "rows").mkdir()
    pl.DataFrame({"id": ["a"], "problem": ["x"]}).write_parquet(tmp_path / "rows" / "rows.parquet")
    job = make_job(tmp_path, "http://127.0.0.1:9/v1")
    job.inputs.pop("completions")
    job.inputs["rows"] = (tmp_path / "rows",)
    with pytest.raises(InputError, match="reads responses, and a data set has none") as caught:
        judge(job)
    assert "clean_question" in caught.value.remedy


@pytest.mark.parametrize("form", ["seconds", "date"])
def test_retry_after_is_obeyed(tmp_path, form):
    def behave(seen: Seen) -> Answer:
        if seen.count > 1:
            return reflect_on_odd_samples(seen)
        when = "1" if form == "seconds" else email.utils.formatdate(time.time() + 2, usegmt=True)
        return Answer(429, {"error": {"message": "slow down"}}, {"Retry-After": when})

    with serve(behave) as endpoint:
        facts = judge(make_job(tmp_path, endpoint.url, n=1, samples=1))
    first, second = endpoint.seen
    assert 0.9 <= second.time - first.time < 5
    assert (facts["requests"], facts["retries"]) == (2, 1)


def test_a_pause_of_hours_ends_the_stage_at_once(tmp_path):
    busy = Answer(429, {"error": {"message": "daily quota spent"}}, {"Retry-After": "7200"})
    with serve(lambda _: busy) as endpoint:
        with pytest.raises(StageError, match=r"pause of 7,200 seconds: 429 daily quota spent"):
            judge(make_job(tmp_path, endpoint.url, n=1, samples=1))
        assert len(endpoint.seen) == 1


@pytest.mark.parametrize(
    "fault",
    [
        Answer(500, {"error": {"message": "oops"}}),
        Answer(503, b"<html>gone to lunch</html>"),
        Answer(408, b""),
        Answer(is_cut=True),
        Answer(200, b"<html>a proxy's page</html>"),
        Answer(200, {"choices": []}),
        Answer(200, [1, 2]),
        Answer(pause_seconds=0.6, body={}),
    ],
    ids=["500", "503 of a proxy", "408", "cut connection", "no JSON", "no choice", "no object", "hangs"],
)
def test_what_passes_is_tried_again(tmp_path, fault):
    with serve(lambda seen: fault if seen.count <= 2 else reflect_on_odd_samples(seen)) as endpoint:
        job = make_job(tmp_path, endpoint.url, n=2, timeout_seconds=0.3)
        facts = judge(job)
    assert (facts["requests"], facts["retries"], facts["unreadable"]) == (12, 8, 0)
    assert read_verdicts(job)["label"].to_list() == ["direct", "reflective"] * 2


def test_pauses_double_from_try_to_try(tmp_path):
    with serve(lambda seen: Answer(500, b"") if seen.count <= 4 else say("2")) as endpoint:
        judge(make_job(tmp_path, endpoint.url, n=1, samples=1, backoff_seconds=0.1))
    times = [seen.time for seen in endpoint.seen]
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert all(gap >= 0.1 * 2**i for i, gap in enumerate(gaps)) and gaps[-1] < 3


def test_an_endpoint_that_never_recovers_ends_the_stage_and_says_how_to_go_on(tmp_path):
    with serve(lambda _: Answer(500, {"error": {"message": "CUDA error"}})) as endpoint:
        with pytest.raises(StageError, match=r"problem 'p000'.* after 3 tries: 500 CUDA error") as caught:
            judge(make_job(tmp_path, endpoint.url, n=1, samples=1, retries=2))
        assert len(endpoint.seen) == 3
    assert "run the same command again" in caught.value.remedy


def test_an_endpoint_that_is_not_there_is_named(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
    with pytest.raises(
        StageError, match=rf"no reply from {url}/chat/completions after 2 tries: ConnectError"
    ):
        judge(make_job(tmp_path, url, retries=1))


@pytest.mark.parametrize(
    ("status", "kind", "what", "remedy"),
    [
        (401, InputError, r"refuses the key in \$JUDGE_KEY: 401 bad key \[key\]", "Check the key"),
        (403, InputError, r"refuses the key in \$JUDGE_KEY: 403", "Check the key"),
        (404, InputError, r"does not exist there, or model 'judge' does not", "ending in /v1"),
        (400, StageError, r"problem 'p000' \(sample 0\): .* refuses the request: 400", "longer context"),
    ],
)
def test_what_cannot_pass_ends_the_stage_after_one_request(tmp_path, monkeypatch, status, kind, what, remedy):
    monkeypatch.setenv("JUDGE_KEY", KEY)
    with serve(lambda _: Answer(status, {"error": {"message": f"bad key {KEY}"}})) as endpoint:
        with pytest.raises(kind, match=what) as caught:
            judge(make_job(tmp_path, endpoint.url, key_variable="JUDGE_KEY", parallel=1))
        assert len(endpoint.seen) == 1
    assert remedy in caught.value.remedy


def test_a_refusal_without_a_key_says_that_none_was_sent(tmp_path):
    with (
        serve(lambda _: Answer(401, {"error": "who are you?"})) as endpoint,
        pytest.raises(InputError, match="refuses a request without a key: 401 who are you") as caught,
    ):
        judge(make_job(tmp_path, endpoint.url))
    assert "key_variable" in caught.value.remedy


@pytest.mark.parametrize("value", [None, "", " \n"])
def test_a_key_that_is_not_set_is_named_before_any_request(tmp_path, monkeypatch, value):
    monkeypatch.delenv("JUDGE_KEY", raising=False)
    if value is not None:
        monkeypatch.setenv("JUDGE_KEY", value)
    with serve(reflect_on_odd_samples) as endpoint:
        with pytest.raises(InputError, match="JUDGE_KEY is not set"):
            judge(make_job(tmp_path, endpoint.url, key_variable="JUDGE_KEY"))
        assert not endpoint.seen


def test_a_key_that_is_none_is_refused_without_being_shown(tmp_path, monkeypatch):
    monkeypatch.setenv("JUDGE_KEY", "sk-1\nsk-2")
    with pytest.raises(InputError) as caught:
        judge(make_job(tmp_path, "http://127.0.0.1:9/v1", key_variable="JUDGE_KEY"))
    assert "sk-" not in str(caught.value) and "JUDGE_KEY holds no key" in caught.value.what


def test_the_key_is_sent_and_never_stored_or_shown(tmp_path, monkeypatch, capfd):
    """Even by an endpoint that repeats it in replies, model names and errors."""
    monkeypatch.setenv("JUDGE_KEY", KEY)

    def behave(seen: Seen) -> Answer:
        if "p003" in seen.text:
            return Answer(500, {"error": {"message": f"worker of {KEY} died"}})
        return say(f"You are {KEY}. 2.", model=f"m-{KEY}")

    with serve(behave) as endpoint:
        job = make_job(tmp_path, endpoint.url, key_variable="JUDGE_KEY", retries=1)
        with pytest.raises(StageError, match=r"worker of \[key\] died") as caught:
            judge(job)
    assert {seen.headers.get("Authorization") for seen in endpoint.seen} == {f"Bearer {KEY}"}
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert any(path.name.startswith("replies-") and b"[key]" in path.read_bytes() for path in files)
    assert not [path for path in files if KEY.encode() in path.read_bytes()]
    assert KEY not in str(caught.value) + repr(job) + "".join(capfd.readouterr())


def test_an_unreadable_reply_is_asked_for_once_more(tmp_path):
    def behave(seen: Seen) -> Answer:
        if "p000" in seen.text:
            return [say("Hm."), say("Straight. 1.")][min(seen.count, 2) - 1]
        if "p001" in seen.text:
            return [say(None), say("")][min(seen.count, 2) - 1]
        if "p002" in seen.text:
            return say("and so the category is 2", finish_reason="length")
        return say("Straight. 1.")

    with serve(behave) as endpoint:
        job = make_job(tmp_path, endpoint.url, samples=1, max_unreadable=0.5)
        facts = judge(job)
    found = read_verdicts(job)
    assert found["label"].to_list() == ["direct", None, None, "direct"]
    assert found["is_positive"].to_list() == [False, None, None, False]
    assert found["n_attempts"].to_list() == [2, 2, 2, 1]
    assert (facts["unreadable"], facts["requests"], facts["retries"]) == (2, 7, 0)
    assert len(endpoint.seen) == 7


def test_the_second_asking_has_another_seed_where_the_temperature_is_above_zero(tmp_path):
    with serve(lambda seen: say("Hm." if seen.count == 1 else "2")) as endpoint:
        judge(make_job(tmp_path, endpoint.url, n=3, samples=1, temperature=0.7, seed=5))
        seeds = [seen.body["seed"] for seen in endpoint.seen]
        assert len(set(seeds)) == 6
        judge(make_job(tmp_path / "again", endpoint.url, n=3, samples=1, temperature=0.7, seed=5, parallel=1))
    assert {seen.body["seed"] for seen in endpoint.seen[6:]} < set(seeds)


def test_too_many_unreadable_replies_end_the_stage_and_the_first_are_shown(tmp_path):
    with serve(lambda _: say("I would rather not.")) as endpoint:
        job = make_job(tmp_path, endpoint.url, n=50, shard_rows=10)
        with pytest.raises(StageError, match=r"10 of 10 replies .* allows 2.0% of 100; the first:") as caught:
            judge(job)
        assert "problem 'p000' (sample 0), ended by 'stop': 'I would rather not.'" in caught.value.what
        assert len(endpoint.seen) == 20, "it stops as soon as the share is certain, not after 200 requests"
        assert not (job.folder / "verdicts.parquet").exists()
        judge(make_job(tmp_path, endpoint.url, n=50, max_unreadable=1.0))
        assert len(endpoint.seen) == 200, "what was there is used when more is allowed"


def test_text_that_cannot_be_stored_is_mended(tmp_path):
    body = b'{"model": null, "choices": [{"message": {"content": "\\ud83d \\u0000 2."}}]}'
    with serve(lambda _: Answer(200, body)) as endpoint:
        job = make_job(tmp_path, endpoint.url, n=1, samples=1)
        facts = judge(job)
    assert read_verdicts(job)["reply"].to_list() == ["? \x00 2."]
    assert (facts["served"], facts["tokens_in"]) == ([], None)


def test_replies_under_way_are_kept_when_the_stage_ends(tmp_path):
    def behave(seen: Seen) -> Answer:
        if "p000" in seen.text:
            return Answer(403, {"error": {"message": "no"}}, pause_seconds=0.2)
        return Answer(**{**say("1").__dict__, "pause_seconds": 0.5})

    with serve(behave) as endpoint:
        job = make_job(tmp_path, endpoint.url, n=40, samples=1, parallel=4)
        with pytest.raises(InputError, match="403"):
            judge(job)
        assert len(endpoint.seen) == 4, "no request is begun after the refusal"
    assert len((job.work / "replies-00000.jsonl").read_text().splitlines()) == 3


def test_a_killed_job_asks_for_no_reply_again(tmp_path):
    slow = lambda seen: Answer(**{**reflect_on_odd_samples(seen).__dict__, "pause_seconds": 0.02})
    program = (
        "import sys; from pathlib import Path; from tests.support.judge_jobs import make_job;"
        "from pipeline.engines.judge import judge;"
        "judge(make_job(Path(sys.argv[1]), sys.argv[2], n=60, shard_rows=50))"
    )
    with serve(slow) as endpoint:
        child = subprocess.Popen(
            [sys.executable, "-c", program, str(tmp_path), endpoint.url],
            cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        while len(endpoint.seen) < 60 and child.poll() is None:
            time.sleep(0.005)
        child.send_signal(signal.SIGKILL)
        assert child.wait() == -signal.SIGKILL
        time.sleep(0.1)
        job = make_job(tmp_path, endpoint.url, n=60, shard_rows=7)
        journal = job.work / "replies-00000.jsonl"
        kept = journal.read_bytes().count(b"\n")
        with journal.open("ab") as file:
            file.write(b'{"problem_id": "p0')  # what a kill in the middle of a line leaves
        before = len(endpoint.seen)
        facts = judge(job)
    assert 40 <= kept < 120 and facts["reused"] == kept
    assert len(endpoint.seen) - before == 120 - kept
    in_flight = before - kept
    assert in_flight <= 4, "only requests under way when it was killed are asked again"
    assert read_verdicts(job)["label"].to_list() == ["direct", "reflective"] * 60
    assert facts["requests"] == 120


def test_a_damaged_journal_is_named_and_nothing_is_guessed(tmp_path):
    job = make_job(tmp_path, "http://127.0.0.1:9/v1")
    (job.work / "replies-00000.jsonl").write_text('nonsense\n{"also": "nonsense"}\n')
    with pytest.raises(StudyError, match=r"replies-00000.jsonl, line 1: not a reply"):
        judge(job)
