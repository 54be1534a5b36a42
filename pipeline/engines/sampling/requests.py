"""From problems to requests to saved responses: the rows of completions.parquet and how a killed job resumes.

Guaranteed: rows are saved in shards while they are made; a killed job loses only what was in flight.
Refused: problems without id and problem columns, repeated ids, prompts that fill the model's context.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl

from pipeline.engines.policy.folder import encode_prompt
from pipeline.engines.sampling.protocol import Request, Response, Sampler, row_seed
from pipeline.engines.sampling.shards import Shards
from pipeline.errors import InputError, StageError
from pipeline.stages.sample import SamplingConfig
from pipeline.store.job import Job

COLUMNS = ("problem_id", "sample_index", "seed", "problem", "answer", "response", "n_tokens", "finish_reason")


def plan_rows(problems: pl.DataFrame, samples: int, seed: int) -> pl.DataFrame:
    """One row per problem and sample, in order: problem_id, sample_index, problem, answer, seed, position."""
    rows = problems.select(
        pl.col("id").alias("problem_id"),
        pl.lit(list(range(samples)), dtype=pl.List(pl.Int64)).alias("sample_index"),
        "problem",
        "answer",
    ).explode("sample_index")
    seeds = [row_seed(seed, *key) for key in rows.select("problem_id", "sample_index").iter_rows()]
    return rows.with_columns(pl.Series("seed", seeds, dtype=pl.Int64)).with_row_index("position")


def read_problems(path: Path) -> pl.DataFrame:
    """id, problem and answer (null without one) of a rows.parquet, checked."""
    if not path.is_file():
        raise InputError(f"{path}: there are no problems", "Make the benchmark's data set first.")
    try:
        problems = pl.read_parquet(path)
    except (OSError, pl.exceptions.PolarsError) as problem:
        raise InputError(
            f"{path}: not readable: {str(problem).splitlines()[0]}", "Make its artifact again."
        ) from problem
    for column in ("id", "problem"):
        if column not in problems.columns:
            raise InputError(
                f"{path}: the column '{column}' is missing", f"It has {', '.join(problems.columns)}."
            )
        if problems[column].null_count():
            raise InputError(
                f"{path}: '{column}' is empty in some rows", "Every problem needs an id and a text."
            )
    if problems.height == 0:
        raise InputError(f"{path}: there are no rows", "Check the filters that made this data set.")
    repeated = problems["id"].filter(problems["id"].is_duplicated())
    if len(repeated):
        raise InputError(f"{path}: id {repeated[0]!r} appears more than once", "Ids must be unique.")
    if "answer" not in problems.columns:
        problems = problems.with_columns(pl.lit(None, dtype=pl.String).alias("answer"))
    return problems.select("id", "problem", pl.col("answer").cast(pl.String))


def encode_requests(rows: pl.DataFrame, sampler: Sampler, config: SamplingConfig) -> list[Request]:
    """Prompts as token ids; a response is also cut where the model's context ends."""
    texts: dict[str, tuple[int, ...]] = {}
    requests = []
    for position, problem_id, sample, problem, seed in rows.select(
        "position", "problem_id", "sample_index", "problem", "seed"
    ).iter_rows():
        if problem not in texts:
            messages = config.prompt.messages(problem)
            texts[problem] = encode_prompt(sampler.tokenizer, config.prompt, messages)
        room = sampler.context - len(texts[problem])
        if room < 1:
            raise InputError(
                f"problem {problem_id!r}: its prompt has {len(texts[problem])} tokens and the model's context "
                f"{sampler.context}",
                "Filter such problems out, or use a model with a longer context.",
            )
        limit = min(config.max_new_tokens, room)
        name = f"problem {problem_id!r} (sample {sample})"
        requests.append(Request(position, texts[problem], seed, limit, name))
    return requests


def sample_missing(
    job: Job,
    sampler: Sampler,
    rows: pl.DataFrame,
    shards: Shards,
    encode: Callable[[pl.DataFrame, Sampler, Any], list[Request]] = encode_requests,
) -> None:
    """Run the engine over the rows that no shard holds, saving as they come."""
    missing = rows.filter(~pl.col("position").is_in(list(shards.done)))
    requests = encode(missing, sampler, job.config)
    pending: list[Response] = []
    done, started = len(shards.done), time.monotonic()
    for response in sampler.sample(requests, job.config):
        pending.append(response)
        job.progress(done + len(pending), rows.height, "responses")
        if len(pending) == job.config.shard_rows:
            shards.save(pending, sampler, time.monotonic() - started)
            done, pending, started = done + len(pending), [], time.monotonic()
    if pending:
        shards.save(pending, sampler, time.monotonic() - started)
    if len(shards.done) != rows.height:
        raise StageError(
            f"{job.key}: the engine returned {len(shards.done)} of {rows.height} responses",
            "Run the same command again: it resumes after the saved ones.",
        )
