"""Dialogues: four turns in order, what each turn saw, where they are cut, resuming."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from pydantic import ValidationError

from pipeline.engines import dialogue, sample
from pipeline.engines.dialogue import SCHEMA, TURNS, chat_before, turn_seed
from pipeline.engines.policy.folder import encode_prompt
from pipeline.engines.sampling.load import load_sampler
from pipeline.engines.sampling.protocol import Request
from pipeline.errors import InputError, StageError
from pipeline.stages.dialogue import DialogueConfig
from pipeline.stages.sample import SampleConfig
from pipeline.store.job import Job

PROTOCOL = {"temperature": 1.0, "top_p": 1.0, "max_new_tokens": 6, "precision": "fp32"}
TEXTS = {"assess": "Right?", "revise": "Again!", "summarise": "In short?"}


def make_job(folder: Path, policy: Path, n: int = 6, **changes) -> Job:
    rows = folder / "rows"
    rows.mkdir(parents=True, exist_ok=True)
    problems = [f"What is {i}+{i}?" for i in range(n)]
    frame = {"id": [f"p{i}" for i in range(n)], "problem": problems, "answer": [str(i) for i in range(n)]}
    pl.DataFrame(frame).write_parquet(rows / "rows.parquet")
    target = folder / "job"
    target.mkdir(exist_ok=True)
    config = DialogueConfig(**(PROTOCOL | TEXTS | {"samples": 2} | changes))
    return Job("dialogue-1", "dialogue", config, 5, {"policy": (policy,), "rows": (rows,)}, target)


@pytest.fixture(scope="module")
def finished(guesser, tmp_path_factory) -> tuple[Job, dict, pl.DataFrame]:
    job = make_job(tmp_path_factory.mktemp("dialogue"), guesser)
    facts = dialogue.run(job)
    return job, facts, pl.read_parquet(job.folder / "dialogues.parquet")


def test_every_dialogue_has_its_turns_until_it_is_cut(finished):
    _, facts, frame = finished
    assert dict(frame.schema) == SCHEMA
    assert frame.select("problem_id", "sample_index").rows() == [
        (f"p{i}", k) for i in range(6) for k in (0, 1)
    ]
    cuts = 0
    for row in frame.iter_rows(named=True):
        reasons = [row[f"finish_reason_{turn}"] for turn in TURNS]
        at = TURNS.index(row["cut_in"]) if row["cut_in"] else len(TURNS)
        assert reasons == ["stop"] * at + ["length"] * (at < 4) + [None] * (3 - at)
        assert [row[turn] is None for turn in TURNS] == [reason is None for reason in reasons]
        cuts += at < 4
    assert facts["complete"] == 12 - cuts > 0 and sum(facts["cut"].values()) == cuts
    assert facts["responses"] == sum(frame[turn].count() for turn in TURNS)
    assert facts["generated_tokens"] == sum(frame[f"n_tokens_{turn}"].sum() for turn in TURNS)
    assert (facts["rows_in"], facts["rows_out"]) == (6, 12) and facts["version_torch"]


def test_a_turn_is_asked_with_all_turns_before_it(finished):
    job, _, frame = finished
    row = frame.row(0, named=True)
    assert chat_before(row, "first", job.config) == [{"role": "user", "content": "What is 0+0?"}]
    chat = chat_before(row, "summary", job.config)
    assert [message["role"] for message in chat] == ["user", "assistant"] * 3 + ["user"]
    said = [row["problem"], row["first"], "Right?", row["assessment"], "Again!", row["revised"], "In short?"]
    assert [message["content"] for message in chat] == said


def test_each_turn_is_what_the_engine_draws_for_its_chat_alone(finished, guesser):
    job, _, frame = finished
    sampler = load_sampler(guesser / "model", job.config, job.work)
    for row in frame.filter(pl.col("cut_in").is_null()).head(2).iter_rows(named=True):
        for turn in TURNS:
            ids = encode_prompt(sampler.tokenizer, job.config.prompt, chat_before(row, turn, job.config))
            request = Request(0, ids, turn_seed(row["seed"], turn), 6)
            (response,) = sampler.sample([request], job.config)
            assert sampler.tokenizer.decode(response.token_ids, skip_special_tokens=True) == row[turn]
    assert len({turn_seed(3, turn) for turn in TURNS}) == 4


def test_an_engine_is_told_once_how_long_the_longest_dialogue_can_be(finished, guesser):
    job, _, frame = finished
    sampler = load_sampler(guesser / "model", job.config, job.work)
    longest = dialogue.count_longest(frame["problem"], sampler, job.config)
    rows = [row for row in frame.iter_rows(named=True) if row["summary"] is not None]
    lengths = [
        len(encode_prompt(sampler.tokenizer, job.config.prompt, chat_before(row, "summary", job.config)))
        for row in rows
    ]
    assert max(lengths) + 6 <= longest < max(lengths) + 4 * 6 + 4


def test_first_answers_are_those_of_sample(finished, guesser, tmp_path):
    job, _, frame = finished
    inputs = {"policy": (guesser,), "problems": job.inputs["rows"]}
    sample.run(Job("s", "sample", SampleConfig(samples=2, **PROTOCOL), 5, inputs, tmp_path))
    assert pl.read_parquet(tmp_path / "completions.parquet")["response"].equals(frame["first"])


def test_turns_may_have_limits_of_their_own_and_a_cut_dialogue_goes_no_further(guesser, tmp_path):
    job = make_job(tmp_path, guesser, n=12, revise_tokens=1, max_new_tokens=6)
    facts = dialogue.run(job)
    frame = pl.read_parquet(job.folder / "dialogues.parquet")
    cut = frame.filter(pl.col("cut_in") == "revised")
    assert cut.height == facts["cut"]["revised"] > 0 and set(cut["n_tokens_revised"]) == {1}
    assert cut["summary"].null_count() == cut.height
    assert set(frame.filter(pl.col("cut_in").is_null())["n_tokens_revised"]) <= {0}


def test_a_dialogue_that_fills_the_context_is_cut_there(guesser, tmp_path):
    job = make_job(tmp_path, guesser, n=3, revise="?!" * 100, summarise="!?" * 160)
    with pytest.raises(InputError, match=r"in summary\)"):
        dialogue.run(job)
    said = pl.read_parquet(job.work / "turn-summary.parquet")
    assert set(said["finish_reason"]) == {"length"} and set(said["n_tokens"]) == {0}


def test_an_interrupted_job_keeps_its_finished_turns_and_shards(finished, guesser, tmp_path, monkeypatch):
    whole = finished[2]
    job = make_job(tmp_path, guesser, shard_rows=2, batch_size=1)
    saved, real = [], dialogue.Shards.save

    def save(self, *arguments):
        if len(saved) == 8:
            raise KeyboardInterrupt
        real(self, *arguments)
        saved.append(self.paths[-1])

    monkeypatch.setattr(dialogue.Shards, "save", save)
    with pytest.raises(KeyboardInterrupt):
        dialogue.run(job)
    assert (job.work / "turn-first.parquet").exists() and saved[-1].exists()
    kept = saved[-1].stat().st_mtime_ns
    monkeypatch.setattr(dialogue.Shards, "drop", lambda self: None)
    monkeypatch.setattr(dialogue.Shards, "save", real)
    dialogue.run(job)
    assert saved[-1].stat().st_mtime_ns == kept
    assert pl.read_parquet(job.folder / "dialogues.parquet").equals(whole)
    again = replace(job, inputs={**job.inputs, "policy": (Path("nowhere"),)})
    dialogue.run(again)
    assert pl.read_parquet(job.folder / "dialogues.parquet").equals(whole), "and needs no model for that"
    (job.work / "turn-first.parquet").write_bytes(b"")
    with pytest.raises(StageError, match=r"turn-first\.parquet: damaged"):
        dialogue.run(job)


def test_an_empty_request_is_refused_and_the_wording_is_content():
    with pytest.raises(ValidationError, match="asked nothing"):
        DialogueConfig(max_new_tokens=8, assess=" ")
    assert DialogueConfig(max_new_tokens=8, revise="Again.").identity() == {
        "max_new_tokens": 8,
        "revise": "Again.",
    }
