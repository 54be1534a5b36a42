"""The synthesise stage's work: choose among responses or dialogues, write them as rows (polars).

Responses are judged by their lengths and hashes; their texts are read once, when the chosen ones are written.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl

from pipeline.datasets import seeded_key
from pipeline.engines import scoring
from pipeline.engines.row_parquet import write_rows
from pipeline.engines.rows import Dropped
from pipeline.errors import InputError, StageError
from pipeline.job import Job
from pipeline.stages.synthesise import SynthesiseConfig

KEY = ("problem_id", "sample_index")
SCHEMA = {
    "id": pl.String,
    "problem": pl.String,
    "answer": pl.String,
    "solution": pl.String,
    "class": pl.String,
    "origin": pl.String,
    "round": pl.Int64,
    "problem_id": pl.String,
    "sample_index": pl.Int64,
    "n_tokens": pl.Int64,
}


def synthesise(job: Job, config: SynthesiseConfig) -> dict[str, Any]:
    """Write job.folder/rows.parquet; the facts count rows in and out, reasons, problems and classes."""
    given = [role for role in ("dialogues", "completions") if job.inputs.get(role)]
    if len(given) != 1:
        raise InputError(
            f"synthesise takes dialogues or completions and was given {' and '.join(given) or 'neither'}",
            "Give it one of them; `mix` joins two sets of rows.",
        )
    if given == ["completions"]:
        return _use_completions(job, config)
    from pipeline.engines.dialogue_rows import use_dialogues

    return use_dialogues(job, config)


def finish(
    job: Job, config: SynthesiseConfig, rows: pl.LazyFrame, judged: pl.DataFrame, origin: str
) -> dict[str, Any]:
    """Write the rows (KEY and the columns of SCHEMA that they have) that `judged` keeps; returns the facts.

    `judged` has KEY and `reason` (null: it stays) for every row, in the order of the rows.
    """
    dropped = Dropped()
    gone = judged.filter(pl.col("reason").is_not_null())
    for (reason,), part in gone.group_by("reason", maintain_order=True):
        dropped.add(str(reason), part.select(_id(origin))["id"].to_list())
    kept = judged.filter(pl.col("reason").is_null()).select(KEY)
    facts = {
        "rows_in": judged.height,
        "rows_out": kept.height,
        **dropped.facts(),
        "problems_in": judged["problem_id"].n_unique(),
        "problems_out": kept["problem_id"].n_unique(),
    }
    if kept.is_empty():
        reasons = ", ".join(f"{count} × {reason}" for reason, count in dropped.counts.items())
        raise StageError(f"no row is left of {judged.height} ({reasons})", "Sample more, or keep more of it.")
    present = rows.collect_schema().names()
    absent = {name: dtype for name, dtype in SCHEMA.items() if name not in present}
    chosen = (
        rows.join(kept.lazy(), on=KEY, how="semi", maintain_order="left")
        .with_columns(*(pl.lit(None, dtype=dtype).alias(name) for name, dtype in absent.items()))
        .with_columns(_id(origin), origin=pl.lit(origin))
        .select(pl.col(name).cast(dtype) for name, dtype in SCHEMA.items())
    )
    if config.marker is not None:
        column = "problem" if config.marker.place == "prompt" else "solution"
        chosen = chosen.with_columns((pl.lit(config.marker.text) + pl.col(column)).alias(column))
    write_rows(chosen, job.folder / "rows.parquet")
    job.progress(judged.height, judged.height, "rows")
    return facts


def _id(origin: str) -> pl.Expr:
    return pl.format("{}#{}-{}", "problem_id", pl.lit(origin), "sample_index").alias("id")


def choice_keys(rows: pl.DataFrame, seed: int) -> pl.Series:
    """A key per row (KEY) that seed, problem and sample number decide: the order of a seeded choice."""
    names = (f"{problem}#{sample}" for problem, sample in rows.select(KEY).iter_rows())
    return pl.Series("key", [seeded_key(name, seed) for name in names], dtype=pl.UInt64)


def _use_completions(job: Job, config: SynthesiseConfig) -> dict[str, Any]:
    """Rows of the right responses of a completions artifact."""
    source = job.one("completions") / "completions.parquet"
    needed = (*KEY, "problem", "answer", "response", "n_tokens", "finish_reason")
    scoring.count_rows(scoring.open_completions(source, needed), source)
    rows = pl.scan_parquet(source)
    text = pl.col("response").str.strip_chars()
    light = rows.select(
        *KEY,
        "n_tokens",
        *(["correct"] if "correct" in rows.collect_schema() else []),
        is_cut=pl.col("finish_reason") == "length",
        is_empty=text.is_null() | (text == ""),
        # Within one problem and run, equal length and equal 64-bit hash stand for equal texts.
        text=pl.struct(length=pl.col("response").str.len_bytes(), hash=pl.col("response").hash()),
    ).collect()
    refuse_repeated(light, source)
    judged = _judge_responses(_with_scores(job, light, source), config)
    return finish(job, config, rows.rename({"response": "solution"}), judged, "rejection")


def refuse_repeated(rows: pl.DataFrame, source: Path) -> None:
    """Refuse a problem's sample number that occurs twice."""
    repeated = rows.filter(pl.struct(KEY).is_duplicated())
    if repeated.height:
        raise InputError(
            f"{source}: problem {repeated['problem_id'][0]!r} has sample {repeated['sample_index'][0]} twice",
            "Sample again.",
        )


def _with_scores(job: Job, light: pl.DataFrame, source: Path) -> pl.DataFrame:
    """The responses with `correct`: from input `scores`, or as the completions say themselves."""
    path, found = source, light
    if job.inputs.get("scores"):
        path = job.one("scores") / "scores.parquet"
        scores = scoring.open_completions(path, (*KEY, "correct")).unique(KEY).collect()
        found = light.drop("correct", strict=False).join(scores, on=KEY, how="left", maintain_order="left")
    if "correct" not in found.columns:
        raise InputError(
            f"{source}: nothing says which responses are right", "Score them, and give the scores as input."
        )
    unscored = found.filter(pl.col("correct").is_null())
    if unscored.height:
        raise InputError(
            f"{source}: {unscored.height} of {found.height} responses have no score in {path}, first sample "
            f"{unscored['sample_index'][0]} of problem {unscored['problem_id'][0]!r}",
            "Give the scores of these very completions.",
        )
    return found


def _judge_responses(light: pl.DataFrame, config: SynthesiseConfig) -> pl.DataFrame:
    """KEY and reason (null: it stays) of every response."""
    order = pl.col("n_tokens") if config.choose == "shortest" else choice_keys(light, config.seed)
    light = light.with_columns(order=order)
    reason = (
        pl.when(~pl.col("correct"))
        .then(pl.lit("not correct"))
        .when("is_cut")
        .then(pl.lit("cut at the limit"))
        .when("is_empty")
        .then(pl.lit("empty response"))
    )
    light = light.with_columns(reason=reason)
    usable = light.filter(pl.col("reason").is_null())
    first = usable.unique(("problem_id", "text"), keep="first", maintain_order=True)
    chosen = first
    if config.per_problem is not None:
        ranked = first.sort("order", "sample_index")
        chosen = ranked.group_by("problem_id", maintain_order=True).head(config.per_problem)
    surplus = f"more than {config.per_problem} of one problem"
    verdicts = (
        usable.select(KEY)
        .join(first.select(*KEY, is_first=True), on=KEY, how="left", maintain_order="left")
        .join(chosen.select(*KEY, is_chosen=True), on=KEY, how="left", maintain_order="left")
        .select(
            *KEY,
            again=pl.when(pl.col("is_first").is_null())
            .then(pl.lit("the same response again"))
            .when(pl.col("is_chosen").is_null())
            .then(pl.lit(surplus)),
        )
    )
    joined = light.join(verdicts, on=KEY, how="left", maintain_order="left")
    return joined.select(*KEY, reason=pl.coalesce("reason", "again"))
