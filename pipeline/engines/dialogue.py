"""The dialogue stage's work: turn after turn, all dialogues of a turn in one pass through the engine.

Reads the rows of input `rows` and the model of `policy`; leaves dialogues.parquet.
A finished turn is one file (work/turn-revised.parquet); within a turn responses are saved in shards. The model
is loaded once, and only if a turn is missing.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from pipeline.engines.policy.folder import encode_prompt
from pipeline.engines.rows.dropped import DroppedRows
from pipeline.engines.rows.frames import mean_of, read_made, write_frame
from pipeline.engines.sampling.load import Loader
from pipeline.engines.sampling.protocol import Request, Sampler, row_seed
from pipeline.engines.sampling.requests import encode_requests, plan_rows, read_problems, sample_missing
from pipeline.engines.sampling.shards import Shards, measure
from pipeline.engines.synthesis.turns import SCHEMA, TURNS
from pipeline.errors import InputError
from pipeline.stages.dialogue import DialogueConfig
from pipeline.store.job import Job

_ANSWER = ("position", "response", "n_tokens", "finish_reason")


def run(job: Job) -> dict[str, Any]:
    """Write job.folder/dialogues.parquet; returns counts (dialogues, complete, cut per turn) and speed."""
    config: DialogueConfig = job.config
    problems = read_problems(job.one("rows") / "rows.parquet")
    loader = Loader(job.one("policy") / "model", config, job.work)
    dialogues = plan_rows(problems, config.samples, job.seed).with_columns(
        cut_in=pl.lit(None, dtype=pl.String)
    )
    answers, notes = [], []
    for turn in TURNS:
        path = job.work / f"turn-{turn}.parquet"
        if not path.exists():
            _make_turn(job, turn, dialogues, loader)
        found, note = read_made(path)
        answers.append(found)
        notes.append(note)
        named = found.rename(
            {"response": turn, "n_tokens": f"n_tokens_{turn}", "finish_reason": f"finish_reason_{turn}"}
        )
        dialogues = dialogues.join(named, on="position", how="left", maintain_order="left")
        is_cut = pl.col(f"finish_reason_{turn}") == "length"
        dialogues = dialogues.with_columns(cut_in=pl.coalesce("cut_in", pl.when(is_cut).then(pl.lit(turn))))
    facts = _count(problems, dialogues, answers, notes)
    if facts["complete"] == 0:
        raise InputError(
            f"all {dialogues.height} dialogues are cut at a limit ({_list_cuts(facts['cut'])})",
            "Raise max_new_tokens or the limit of that turn, or take a model with a longer context.",
        )
    write_frame(job.folder / "dialogues.parquet", dialogues.select(*SCHEMA))
    job.progress(facts["responses"], facts["responses"], "responses")
    return facts


def turn_seed(seed: int, turn: str) -> int:
    """The seed of one turn: the first turn's is the dialogue's own, so that it is the draw of `sample`."""
    return seed if turn == TURNS[0] else row_seed(seed, turn, 0)


def chat_before(row: dict[str, Any], turn: str, config: DialogueConfig) -> list[dict[str, str]]:
    """The messages that a turn answers: the question, then each earlier answer and what it was asked next."""
    asked = {"assessment": config.assess, "revised": config.revise, "summary": config.summarise}
    messages = config.prompt.messages(row["problem"])
    for before, after in itertools.pairwise(TURNS):
        if before == turn:
            break
        messages.append({"role": "assistant", "content": row[before]})
        messages.append({"role": "user", "content": asked[after]})
    return messages


@dataclass(frozen=True)
class _Prompts:
    """The encoded prompts of a later turn, by position; dialogues that fill the context have none."""

    ids: dict[int, tuple[int, ...]]
    limit: int

    def encode(self, rows: pl.DataFrame, sampler: Sampler, _: Any) -> list[Request]:
        """The requests of these rows."""
        return [
            Request(
                at,
                self.ids[at],
                seed,
                min(self.limit, sampler.context - len(self.ids[at])),
                f"problem {problem!r} (sample {sample})",
            )
            for at, seed, problem, sample in rows.select(
                "position", "seed", "problem_id", "sample_index"
            ).iter_rows()
        ]


def _make_turn(job: Job, turn: str, dialogues: pl.DataFrame, loader: Loader) -> None:
    """Let the policy speak once in every dialogue that is not cut; leaves work/turn-TURN.parquet."""
    going = dialogues.filter(pl.col("cut_in").is_null())
    seeds = [turn_seed(seed, turn) for seed in going["seed"]]
    going = going.with_columns(pl.Series("seed", seeds, dtype=pl.Int64))
    full = going.head(0)
    encode: Callable[[pl.DataFrame, Sampler, Any], list[Request]] = encode_requests
    if turn != TURNS[0] and not going.is_empty():
        prompts = _encode_turn(going, turn, loader.sampler(), job.config)
        has_room = pl.col("position").is_in(list(prompts.ids))
        full, going, encode = going.filter(~has_room), going.filter(has_room), prompts.encode
    folder = job.work / turn
    folder.mkdir(exist_ok=True)
    rows = going.select("position", "problem_id", "sample_index", "problem", "seed")
    shards = Shards(folder, rows)
    if len(shards.done) < rows.height:
        loader.sampler().reserve(count_longest(dialogues["problem"], loader.sampler(), job.config))
        sample_missing(job, loader.sampler(), rows, shards, encode)
    said = full.select(
        "position",
        pl.lit("").alias("response"),
        pl.lit(0, dtype=pl.Int64).alias("n_tokens"),
        pl.lit("length").alias("finish_reason"),
    )
    note = {"seconds": "0.0", "versions": "{}"}
    if not rows.is_empty():
        said = pl.concat([shards.collect().select(_ANSWER), said])
        note = {"seconds": repr(shards.seconds), "versions": json.dumps(shards.versions())}
    write_frame(job.work / f"turn-{turn}.parquet", said.sort("position"), note)
    shards.drop()


def _encode_turn(going: pl.DataFrame, turn: str, sampler: Sampler, config: DialogueConfig) -> _Prompts:
    """The prompts of a turn of every dialogue that leaves room for at least one token."""
    ids = {}
    for row in going.iter_rows(named=True):
        prompt = encode_prompt(sampler.tokenizer, config.prompt, chat_before(row, turn, config))
        if len(prompt) < sampler.context:
            ids[row["position"]] = prompt
    return _Prompts(ids, limit_tokens(turn, config))


def limit_tokens(turn: str, config: DialogueConfig) -> int:
    """Tokens after which a turn is cut."""
    own = {
        "assessment": config.assess_tokens,
        "revised": config.revise_tokens,
        "summary": config.summarise_tokens,
    }
    return own.get(turn) or config.max_new_tokens


def count_longest(problems: pl.Series, sampler: Sampler, config: DialogueConfig) -> int:
    """Positions of the longest dialogue that can come about: all that is asked, and every turn's limit."""
    unsaid = dict.fromkeys(TURNS, "")
    asked = max(
        len(
            encode_prompt(
                sampler.tokenizer,
                config.prompt,
                chat_before({"problem": problem, **unsaid}, TURNS[-1], config),
            )
        )
        for problem in problems.unique()
    )
    return asked + sum(limit_tokens(turn, config) for turn in TURNS)


def _count(
    problems: pl.DataFrame,
    dialogues: pl.DataFrame,
    answers: Sequence[pl.DataFrame],
    notes: Sequence[dict[str, str]],
) -> dict[str, Any]:
    """Dialogues, how many are complete, where the others were cut, and what all of it took."""
    cut = DroppedRows()
    for turn in TURNS:
        ids = dialogues.filter(pl.col("cut_in") == turn)
        cut.add(
            turn, [f"{problem}#{i}" for problem, i in ids.select("problem_id", "sample_index").iter_rows()]
        )
    said = pl.concat([frame.select(_ANSWER) for frame in answers])
    seconds = sum(float(note["seconds"]) for note in notes)
    return {
        "rows_in": problems.height,
        "rows_out": dialogues.height,
        "dialogues": dialogues.height,
        "complete": dialogues["cut_in"].null_count(),
        "cut": dict(cut.counts),
        "cut_examples": dict(cut.examples),
        "tokens_per_turn": {
            turn: round(mean_of(frame["n_tokens"]) or 0.0, 1)
            for turn, frame in zip(TURNS, answers, strict=True)
        },
        **measure(said, seconds, json.loads(notes[0]["versions"])),
    }


def _list_cuts(cut: dict[str, int]) -> str:
    return ", ".join(f"{count} in {turn}" for turn, count in cut.items())
