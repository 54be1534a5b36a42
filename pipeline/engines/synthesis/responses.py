"""Rows of responses: the right ones, once each, at most so many of one problem.

Responses are judged by their lengths and hashes; their texts are read once, when the chosen ones are written.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl

from pipeline.engines.rows.frames import count_responses, scan_columns
from pipeline.engines.synthesis.chosen import KEY, choice_keys, refuse_repeated, write_chosen
from pipeline.errors import InputError
from pipeline.stages.synthesise import SynthesiseConfig
from pipeline.store.job import Job


def use_completions(job: Job, config: SynthesiseConfig) -> dict[str, Any]:
    """Write the rows of input `completions`; responses are right by input `scores`, or as they say themselves."""
    source = job.one("completions") / "completions.parquet"
    needed = (*KEY, "problem", "answer", "response", "n_tokens", "finish_reason")
    count_responses(scan_columns(source, needed), source)
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
    return write_chosen(job, config, rows.rename({"response": "solution"}), judged, "rejection")


def _with_scores(job: Job, light: pl.DataFrame, source: Path) -> pl.DataFrame:
    """The responses with `correct`: from input `scores`, or as the completions say themselves."""
    path, found = source, light
    if job.inputs.get("scores"):
        path = job.one("scores") / "scores.parquet"
        scores = scan_columns(path, (*KEY, "correct")).unique(KEY).collect()
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
