"""The judge stage's work: every row is asked about once, and once more where the reply cannot be read.

Reads completions.parquet of input `completions`, or the rows of `rows` (and the model of `policy` with a local
engine); leaves verdicts.parquet.
Guarantees: one verdict per row, in the order of the input; a killed job asks for no reply twice; a reply that
does not give a label, or was cut, is unreadable (label and is_positive are null), never a guess. A reply of a
greedy local engine is not asked for again, because it would be the same.
Refused: rows without the texts that the judge reads, no rows, and more unreadable replies than allowed,
as soon as that is certain.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import polars as pl

from pipeline import judges
from pipeline.engines.judging.replies import Question, Replies, Reply, RowKey
from pipeline.engines.rows.frames import count_responses, scan_columns, write_frame
from pipeline.engines.sampling.protocol import row_seed
from pipeline.errors import InputError, StageError, suggest
from pipeline.stages.judge import JudgeConfig
from pipeline.store.job import Job

SCHEMA = {
    "problem_id": pl.String,
    "sample_index": pl.Int64,
    "label": pl.String,
    "is_positive": pl.Boolean,
    "reply": pl.String,
    "n_attempts": pl.Int64,
}
ASKINGS = 2
"""How often a row is asked about at most."""

CUT = ("length", "content_filter")
"""Reasons for which a reply ended before its end."""

SHOWN_ROWS = 3


class Engine(Protocol):
    """What answers questions; replies come in any order."""

    def ask(self, questions: Sequence[Question]) -> Iterator[Reply]:
        """Put every question once."""

    def versions(self) -> dict[str, str]:
        """The packages that decided the replies."""


def run(job: Job) -> dict[str, Any]:
    """Judge input `completions` or `rows`; leaves verdicts.parquet and returns counts, requests and tokens."""
    started = time.monotonic()
    module = judges.get(job.config.judge)
    rows, source = _open_rows(job, module.FIELDS)
    total = count_responses(rows, source)
    judging = _Judging(job, total)
    for start in range(0, total, job.config.shard_rows):
        judging.ask_about(rows.slice(start, job.config.shard_rows).collect())
    ids = rows.select("problem_id", "sample_index").collect()
    verdicts = judging.verdicts(list(ids.iter_rows()))
    write_frame(job.folder / "verdicts.parquet", verdicts)
    return judging.facts(verdicts) | {"seconds": round(time.monotonic() - started, 3)}


class _Judging:
    """The rows of one job with the replies about them."""

    def __init__(self, job: Job, total: int) -> None:
        self.job, self.total = job, total
        self.config: JudgeConfig = job.config
        self.params = judges.validate(job.config.judge, job.config.params)
        self.replies = Replies(job.work)
        self._engine: Engine | None = None
        self._done = 0
        self._unreadable: list[Reply] = []
        same_again = self.config.engine != "openai" and self.config.temperature == 0
        self.askings = 1 if same_again else ASKINGS

    def ask_about(self, rows: pl.DataFrame) -> None:
        """Get what is missing of some rows' replies: the first for each, a second where it is unreadable."""
        for asking in range(1, self.askings + 1):
            wanted = [
                self._question(row, asking)
                for row in rows.iter_rows(named=True)
                if self._lacks((row["problem_id"], row["sample_index"]), asking)
            ]
            if wanted:
                self._put(wanted)
        keys = rows.select("problem_id", "sample_index").iter_rows()
        last = [self.replies.of(key)[-1] for key in keys]
        self._unreadable += [reply for reply in last if self.read(reply) is None]
        self._done += rows.height
        self.job.progress(self._done, self.total, "rows")
        self._refuse_unreadable()

    def read(self, reply: Reply) -> str | None:
        """The label of a reply; None where it is unreadable."""
        if reply.finish_reason in CUT:
            return None
        return judges.read(self.config.judge, reply.text, self.params)

    def verdicts(self, keys: list[RowKey]) -> pl.DataFrame:
        """One row per key: the label of its last reply."""
        positive = judges.get(self.config.judge).POSITIVE
        table = []
        for key in keys:
            replies = self.replies.of(key)
            label = self.read(replies[-1])
            is_positive = None if label is None else label in positive
            table.append((*key, label, is_positive, replies[-1].text, len(replies)))
        return pl.DataFrame(table, schema=SCHEMA, orient="row")

    def facts(self, verdicts: pl.DataFrame) -> dict[str, Any]:
        """Counts per label, and what the replies took over all attempts of the job."""
        labels, replies = Counter(verdicts["label"]), list(self.replies)
        versions = self._engine.versions() if self._engine is not None else {}
        return {
            "n": verdicts.height,
            "problems": verdicts["problem_id"].n_unique(),
            "labels": {label: labels[label] for label in judges.get(self.config.judge).LABELS},
            "positive": int(verdicts["is_positive"].sum()),
            "unreadable": labels[None],
            "requests": sum(1 + reply.retries for reply in replies),
            "retries": sum(reply.retries for reply in replies),
            "reused": self.replies.reused,
            "tokens_in": _total([reply.tokens_in for reply in replies]),
            "tokens_out": _total([reply.tokens_out for reply in replies]),
            "served": sorted({reply.model for reply in replies if reply.model}),
            **{f"version_{name}": version for name, version in versions.items()},
        }

    def _lacks(self, row: RowKey, asking: int) -> bool:
        known = self.replies.of(row)
        return len(known) < asking and (asking == 1 or self.read(known[-1]) is None)

    def _question(self, row: dict[str, Any], asking: int) -> Question:
        name, index = row["problem_id"], row["sample_index"]
        texts = {field: row[field] for field in judges.get(self.config.judge).FIELDS}
        messages = judges.ask(self.config.judge, texts, self.params)
        seed = row_seed(self.config.seed, f"{name}#{asking}", index)
        return Question((name, index), asking, tuple(messages), seed)

    def _put(self, questions: list[Question]) -> None:
        if self._engine is None:
            self._engine = load_engine(self.job)
        for asked, reply in enumerate(self._engine.ask(questions), start=1):
            self.replies.add(reply)
            self.job.progress(min(self._done + asked, self.total - 1), self.total, "rows")

    def _refuse_unreadable(self) -> None:
        """Stop as soon as the share of all rows is certain to be too large."""
        count, limit = len(self._unreadable), self.config.max_unreadable
        if count <= limit * self.total:
            return
        shown = "".join(
            f"\n      problem {reply.problem_id!r} (sample {reply.sample_index}), "
            f"ended by {reply.finish_reason!r}: {_shorten(reply.text)!r}"
            for reply in self._unreadable[:SHOWN_ROWS]
        )
        raise StageError(
            f"{count} of {self._done} replies of the judge cannot be read as a label, and "
            f"max_unreadable allows {limit:.1%} of {self.total}; the first:{shown}",
            "Take a better judge or more max_new_tokens, or allow more with max_unreadable (the replies are kept; "
            f"to have them asked for again, move {self.job.work}/replies-* away).",
        )


def load_engine(job: Job) -> Engine:
    """The endpoint, or a policy loaded here."""
    if job.config.engine == "openai":
        from pipeline.engines.judging.endpoint import Endpoint

        return Endpoint(job.config)
    from pipeline.engines.judging.policy import PolicyJudge

    return PolicyJudge(job.one("policy"), job.config, job.work)


def _open_rows(job: Job, fields: Sequence[str]) -> tuple[pl.LazyFrame, Path]:
    """problem_id, sample_index and the judge's texts, lazily, from the one input of role completions or rows."""
    ids = ["problem_id", "sample_index"]
    if "completions" in job.inputs:
        source = job.one("completions") / "completions.parquet"
        rows = scan_columns(source, (*ids, *fields))
    else:
        source = job.one("rows") / "rows.parquet"
        if "response" in fields:
            raise InputError(
                f"{source}: judge {job.config.judge!r} reads responses, and a data set has none",
                suggest("", [name for name in judges.names() if "response" not in judges.get(name).FIELDS]),
            )
        rows = scan_columns(source, ("id", *fields)).select(
            pl.col("id").alias("problem_id"), pl.lit(0, dtype=pl.Int64).alias("sample_index"), *fields
        )
    empty = rows.filter(pl.any_horizontal(pl.col(list(fields)).is_null())).head(1).collect()
    if empty.height:
        raise InputError(
            f"{source}: problem {empty['problem_id'][0]!r} lacks one of {', '.join(fields)}",
            "Drop the row with a filter.",
        )
    return rows, source


def _total(counts: list[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if known else None


def _shorten(text: str) -> str:
    return text if len(text) <= 120 else f"{text[:60]} … {text[-60:]}"
