"""The compress stage's work: draw a keep rate per row, rate its tokens, shorten its chain of thought.

Reads the rows of input `rows` and the token-classification model of `compressor` (to count tokens, the tokenizer of
`policy`); leaves rows.parquet.
Rows are worked on in parts (work/part-….parquet) that a killed job goes on after.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl

from pipeline.datasets import seeded_key
from pipeline.engines.rows.dropped import count_dropped
from pipeline.engines.rows.frames import is_whole, write_frame
from pipeline.engines.rows.parquet import write_rows
from pipeline.engines.rows.store import count_rows
from pipeline.errors import InputError, StageError
from pipeline.stages.compress import CompressConfig
from pipeline.store.job import Job

PART_ROWS = 256
"""Rows per working part; fixed, so that parts of an earlier attempt fit."""

_NOTES = ("_reason", "_tokens", "_kept_tokens")


def run(job: Job) -> dict[str, Any]:
    """Write job.folder/rows.parquet; the facts count rows, reasons, and tokens kept at every rate."""
    config: CompressConfig = job.config
    started = time.monotonic()
    source = job.one("rows") / "rows.parquet"
    rows, total = _open_rows(source), count_rows(source)
    shortener = _Shortener(job, config)
    parts = []
    for start in range(0, total, PART_ROWS):
        part = job.work / f"part-{start:09d}.parquet"
        if not is_whole(part):
            write_frame(part, shortener.shorten(rows.slice(start, PART_ROWS).collect()))
        job.progress(min(start + PART_ROWS, total), total, "rows")
        parts.append(pl.scan_parquet(part))
    done = pl.concat(parts)
    notes = done.select("id", "keep_rate", *_NOTES).collect()
    dropped = count_dropped(notes.rename({"_reason": "reason"}))
    kept = notes.filter(pl.col("_reason").is_null())
    if kept.is_empty():
        raise StageError(
            f"no row is left of {total} ({dropped.reasons()})", "Raise max_tokens, or the keep rates."
        )
    write_rows(done.filter(pl.col("_reason").is_null()).drop(_NOTES), job.folder / "rows.parquet")
    return {
        "rows_in": total,
        "rows_out": kept.height,
        **dropped.facts(),
        "rates": _count_rates(kept),
        "seconds": round(time.monotonic() - started, 3),
    }


def _open_rows(source: Path) -> pl.LazyFrame:
    """The rows, lazily; InputError where a column or a value that is needed is missing."""
    try:
        rows = pl.scan_parquet(source)
        schema = rows.collect_schema()
    except (OSError, pl.exceptions.PolarsError) as error:
        raise InputError(f"{source}: not readable: {error}", "Make its artifact again.") from None
    for column in ("id", "problem", "answer", "solution"):
        if column not in schema:
            raise InputError(f"{source}: column {column!r} is missing", f"Found: {', '.join(schema)}.")
        empty = rows.filter(pl.col(column).is_null()).select("id").head(1).collect()
        if empty.height:
            raise InputError(
                f"{source}: row {empty['id'][0]!r} has no {column}",
                "Filter such rows out: every row needs a problem, a right solution and its gold answer.",
            )
    return rows.with_columns(pl.col("answer").cast(pl.String))


def _count_rates(kept: pl.DataFrame) -> dict[str, dict[str, Any]]:
    """Per rate: rows, and the share of the chains' tokens that is left."""
    table = kept.group_by("keep_rate").agg(
        rows=pl.len(), share=pl.col("_kept_tokens").sum() / pl.col("_tokens").sum()
    )
    return {
        f"{rate:g}": {"rows": rows, "kept_share": round(share, 4)}
        for rate, rows, share in table.sort("keep_rate").iter_rows()
    }


def draw_rate(name: str, config: CompressConfig) -> float:
    """The keep rate of a row, uniform over the rates, from seed and id alone."""
    return config.rates[seeded_key(name, config.seed) % len(config.rates)]


class _Shortener:
    """Shortens batches of rows; the models are loaded when the first batch needs them."""

    def __init__(self, job: Job, config: CompressConfig) -> None:
        self.job, self.config = job, config
        self._compressor: Any = None
        self._counter: Any = None

    @property
    def compressor(self) -> Any:
        """The token-classification model, loaded now or before."""
        if self._compressor is None:
            from pipeline.engines.synthesis.compression import Compressor

            folder = self.job.one("compressor") / "model"
            self._compressor = Compressor(
                folder,
                precision=self.config.precision,
                gpus=self.config.gpus,
                batch_size=self.config.batch_size,
            )
        return self._compressor

    def shorten(self, batch: pl.DataFrame) -> pl.DataFrame:
        """The batch with prompt, solution and keep_rate, and the notes: reason, tokens, kept tokens."""
        config = self.config
        rates = [draw_rate(name, config) for name in batch["id"]]
        chains = [self._cut_chain(solution) for solution in batch["solution"]]
        reasons = self._find_faults(chains)
        wanted = [i for i, rate in enumerate(rates) if rate < 1 and reasons[i] is None]
        shortened, counts = list(chains), {}
        for i, words in zip(wanted, self._rate([chains[i] for i in wanted]), strict=True):
            shortened[i], counts[i] = self._keep(words, rates[i])
            if not shortened[i]:
                reasons[i] = f"nothing is left at rate {rates[i]:g}"
        tokens = [counts.get(i, (1, 1)) for i in range(len(rates))]  # whole chains: all of it is kept
        columns = zip(batch["problem"], rates, shortened, batch["answer"], strict=True)
        written = [
            (config.write_input(problem, rate), config.write_target(chain, answer))
            for problem, rate, chain, answer in columns
        ]
        return batch.with_columns(
            pl.Series("problem", [problem for problem, _ in written], dtype=pl.String),
            pl.Series("solution", [solution for _, solution in written], dtype=pl.String),
            pl.Series("keep_rate", rates, dtype=pl.Float64),
            pl.Series("_reason", reasons, dtype=pl.String),
            pl.Series("_tokens", [before for before, _ in tokens], dtype=pl.Int64),
            pl.Series("_kept_tokens", [after for _, after in tokens], dtype=pl.Int64),
        )

    def _cut_chain(self, solution: str) -> str:
        """What stands before the final answer."""
        if self.config.chain_ends is None:
            return solution.strip()
        return solution.split(self.config.chain_ends)[0].strip()

    def _find_faults(self, chains: Sequence[str]) -> list[str | None]:
        """Why a chain is not used: it is empty or too long."""
        limit = self.config.max_tokens
        return [
            "empty chain"
            if not chain
            else f"over {limit} tokens"
            if limit is not None and self._count(chain) > limit
            else None
            for chain in chains
        ]

    def _count(self, text: str) -> int:
        """Tokens of a text in the policy's tokenizer, or in the compressor's."""
        if not self.job.inputs.get("policy"):
            return self.compressor.count_tokens(text)
        if self._counter is None:
            from pipeline.engines.policy.folder import load_tokenizer

            self._counter = load_tokenizer(self.job.one("policy") / "model", chat_template=False)
        return len(self._counter(text, add_special_tokens=False)["input_ids"])

    def _rate(self, chains: Sequence[str]) -> list[Any]:
        return self.compressor.rate(chains) if chains else []

    def _keep(self, words: Sequence[Any], rate: float) -> tuple[str, tuple[int, int]]:
        """The shortened chain, and its tokens before and after."""
        from pipeline.engines.synthesis.compression import force, join_words, keep_words

        config = self.config
        words = force(words, config.force_words, digits=config.force_digits)
        kept = keep_words(words, rate, config.force_words)
        return join_words(kept), (sum(word.tokens for word in words), sum(word.tokens for word in kept))
