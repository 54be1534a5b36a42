"""Sampling responses: what is drawn, and how a killed job resumes.

Guaranteed: what a response is drawn from depends on the policy, the protocol, the prompt and the row's own
seed, never on batches, shards, the order of work or who did it. Rows are saved in shards while they are made; a killed
job loses only what was in flight.
Refused: problems without id and problem columns, repeated ids, prompts that fill the model's context.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from pipeline.engines.policy.folder import encode_prompt, read_turn_end
from pipeline.engines.sampling.shards import Shards
from pipeline.errors import InputError, StageError
from pipeline.stages.sample import SamplingConfig
from pipeline.store.job import Job

if TYPE_CHECKING:
    import polars

COLUMNS = ("problem_id", "sample_index", "seed", "problem", "answer", "response", "n_tokens", "finish_reason")


@dataclass(frozen=True)
class Request:
    """One response to sample; `position` is its row in completions.parquet, `name` what messages call it."""

    position: int
    prompt_ids: tuple[int, ...]
    seed: int
    max_tokens: int
    name: str = "a response"


@dataclass(frozen=True)
class Response:
    """The tokens of one response, EOS excluded, why it ended ('stop' or 'length') and with which EOS."""

    position: int
    token_ids: tuple[int, ...]
    finish_reason: str
    end_token: int | None = None


class Sampler(Protocol):
    """An engine with its model loaded; it yields responses as they finish, in any order."""

    tokenizer: Any
    context: int

    def sample(self, requests: Sequence[Request], config: SamplingConfig) -> Iterator[Response]:
        """Draw every request under the protocol's temperature and nucleus mass."""

    def reserve(self, positions: int) -> None:
        """Announce the longest prompt and response to come, where an engine is sized when it starts."""

    def versions(self) -> dict[str, str]:
        """The packages that decided the draws."""


def row_seed(job_seed: int, problem_id: str, sample_index: int) -> int:
    """The seed of one response: 63 bits of SHA-256 over job seed, problem and sample index."""
    text = json.dumps([job_seed, problem_id, sample_index])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def read_eos_token_ids(policy: Path, tokenizer: Any) -> list[int]:
    """Every token that ends a response: those the model declares, the tokenizer's own and the chat template's."""
    ids = {tokenizer.eos_token_id, read_turn_end(tokenizer)}
    for name in ("generation_config.json", "config.json"):
        if (policy / name).is_file():
            declared = json.loads((policy / name).read_text()).get("eos_token_id")
            ids.update(declared if isinstance(declared, list) else [declared])
    return sorted(ids - {None})


def read_context(policy: Path) -> int:
    """Positions that the model was made for."""
    config = json.loads((policy / "config.json").read_text())
    config = {**config, **config.get("text_config", {})}  # models that also see keep their own words apart
    return int(config.get("max_position_embeddings") or config.get("n_positions") or 2**31)


class Loader:
    """Loads the engine at the first need, so that published work never imports torch."""

    def __init__(self, policy: Path, config: SamplingConfig, work: Path) -> None:
        self.policy, self.config, self.work = policy, config, work
        self._sampler: Sampler | None = None

    def sampler(self) -> Sampler:
        """The engine, loaded now or before."""
        if self._sampler is None:
            self._sampler = load_sampler(self.policy, self.config, self.work)
        return self._sampler


def load_sampler(policy: Path, config: SamplingConfig, work: Path) -> Sampler:
    """Load the engine that the protocol names; `work` is for what an engine has to write."""
    if config.engine == "vllm":
        from pipeline.engines.sampling.vllm_sampler import VllmSampler

        return VllmSampler(policy, config, work)
    from pipeline.engines.sampling.transformers_sampler import TransformersSampler

    return TransformersSampler(policy, config)


def plan_rows(problems: polars.DataFrame, samples: int, seed: int) -> polars.DataFrame:
    """One row per problem and sample, in order: problem_id, sample_index, problem, answer, seed, position."""
    import polars as pl

    rows = problems.select(
        pl.col("id").alias("problem_id"),
        pl.lit(list(range(samples)), dtype=pl.List(pl.Int64)).alias("sample_index"),
        "problem",
        "answer",
    ).explode("sample_index")
    seeds = [row_seed(seed, *key) for key in rows.select("problem_id", "sample_index").iter_rows()]
    return rows.with_columns(pl.Series("seed", seeds, dtype=pl.Int64)).with_row_index("position")


def read_problems(path: Path) -> polars.DataFrame:
    """id, problem and answer (null without one) of a rows.parquet, checked."""
    import polars as pl

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


def encode_requests(rows: polars.DataFrame, sampler: Sampler, config: SamplingConfig) -> list[Request]:
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
    rows: polars.DataFrame,
    shards: Shards,
    encode: Callable[[polars.DataFrame, Sampler, Any], list[Request]] = encode_requests,
) -> None:
    """Run the engine over the rows that no shard holds, saving as they come."""
    import polars as pl

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
