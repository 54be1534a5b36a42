"""The select stage's work: keep a row or not by many samples of its problem.

Reads the rows of input `rows`, and scores.parquet of `scores` or verdicts.parquet of `verdicts`; leaves rows.parquet.
Only ids, counts and labels are held in memory; the rows are written once, in a stream.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import polars as pl

from pipeline.engines.rows.dropped import count_dropped
from pipeline.engines.rows.store import count_rows, scan_ids
from pipeline.engines.rows.view import RowView
from pipeline.errors import InputError, StageError, suggest
from pipeline.stages.select import SelectConfig
from pipeline.store.job import Job

SHARE = "solved_share"
_NOTED = "_solved_share"


def run(job: Job) -> dict[str, Any]:
    """Write job.folder/rows.parquet; the facts count rows in and out, reasons, and samples behind them."""
    config: SelectConfig = job.config
    source = job.one("rows") / "rows.parquet"
    rows_in = count_rows(source)
    if rows_in == 0:
        raise InputError(f"{source}: there are no rows", "Check the filters that made this data set.")
    path = _find_evidence(job, config)
    judged = _judge_labels(path, config) if config.labels else _judge_shares(path, config)
    verdicts = _match(scan_ids(source), judged, source, path)
    dropped = count_dropped(verdicts)
    rows_out = rows_in - dropped.counts.total()
    if rows_out == 0:
        raise StageError(
            f"the selection leaves nothing of {rows_in} rows ({dropped.reasons()})",
            "Loosen its bounds or labels.",
        )
    view = RowView.of_file(source, rows_in)
    if SHARE in verdicts.columns:
        columns = {name: pl.col(name) for name in view.schema} | {SHARE: pl.col(_NOTED)}
        view = view.rewritten(columns, verdicts.select(pl.col(SHARE).alias(_NOTED)))
    view.without(verdicts["reason"].is_not_null().to_numpy()).write(job.folder / "rows.parquet")
    return {
        "rows_in": rows_in,
        "rows_out": rows_out,
        **dropped.facts(),
        "outcomes": dict(sorted(Counter(verdicts["outcome"]).items())),
        "judged_problems_without_a_row": judged.height - rows_in,
    }


def _find_evidence(job: Job, config: SelectConfig) -> Path:
    """The scores or verdicts that the configuration asks for; the other input is refused."""
    wanted, other = ("verdicts", "scores") if config.labels else ("scores", "verdicts")
    means = "labels" if config.labels else "bounds"
    if job.inputs.get(other):
        raise InputError(
            f"a selection by {means} reads {wanted} and was given {other}",
            f"Give it {wanted}, or select by {'bounds' if config.labels else 'labels'}.",
        )
    return job.one(wanted) / f"{wanted}.parquet"


def _judge_shares(path: Path, config: SelectConfig) -> pl.DataFrame:
    """Per problem: id, reason (null: it stays), outcome, solved_share."""
    samples = _read_samples(path, "correct", pl.Boolean)
    if samples["correct"].null_count():
        row = samples.filter(pl.col("correct").is_null()).row(0)
        raise InputError(f"{path}: problem {row[0]!r} (sample {row[1]}) has no score", "Score again.")
    found = samples.group_by("problem_id", maintain_order=True).agg(
        solved=pl.col("correct").sum().cast(pl.Int64), samples=pl.len().cast(pl.Int64)
    )
    reasons = [_name_share(solved, n, config) for _, solved, n in found.iter_rows()]
    return found.select(
        pl.col("problem_id").alias("id"),
        pl.Series("reason", reasons, dtype=pl.String),
        pl.format("{} of {}", "solved", "samples").alias("outcome"),
        (pl.col("solved") / pl.col("samples")).alias(SHARE),
    )


def _name_share(solved: int, samples: int, config: SelectConfig) -> str | None:
    share = solved / samples
    if config.is_too_large(share):
        return f"solved by the model ({solved} of {samples})"
    if config.is_too_small(share):
        return f"solved too rarely ({solved} of {samples})" if solved else "never solved"
    return None


def _judge_labels(path: Path, config: SelectConfig) -> pl.DataFrame:
    """Per problem: id, reason (null: it stays), outcome (its labels)."""
    verdicts = _read_samples(path, "label", pl.String)
    known = set(verdicts["label"].drop_nulls())
    if known and not known & set(config.labels):
        raise InputError(
            f"{path}: no verdict has one of the labels {', '.join(config.labels)}",
            suggest(config.labels[0], known),
        )
    found = verdicts.group_by("problem_id", maintain_order=True).agg(
        pl.col("label").sort_by("sample_index").drop_nulls()
    )
    reasons, outcomes = [], []
    for labels in found["label"].to_list():
        unwanted = [label for label in labels if label not in config.labels]
        if labels:
            reasons.append(f"judged {unwanted[0]}" if unwanted else None)
        else:
            reasons.append("unreadable verdict" if config.unreadable == "drop" else None)
        outcomes.append(unwanted[0] if unwanted else labels[0] if labels else "unreadable")
    return found.select(
        pl.col("problem_id").alias("id"),
        pl.Series("reason", reasons, dtype=pl.String),
        pl.Series("outcome", outcomes, dtype=pl.String),
    )


def _read_samples(path: Path, column: str, dtype: type[pl.DataType]) -> pl.DataFrame:
    """problem_id, sample_index and one column; InputError where the file is not that."""
    columns = ("problem_id", "sample_index", column)
    try:
        frame = pl.scan_parquet(path)
        schema = frame.collect_schema()
        if missing := [name for name in columns if name not in schema]:
            raise InputError(f"{path}: column {missing[0]!r} is missing", f"Found: {', '.join(schema)}.")
        found = frame.select(columns).with_columns(pl.col(column).cast(dtype)).collect()
    except (OSError, pl.exceptions.PolarsError) as error:
        raise InputError(f"{path}: not readable: {error}", "Make its artifact again.") from None
    if found.is_empty():
        raise InputError(f"{path}: there is no row", "Make its artifact again, with at least one problem.")
    repeated = found.filter(pl.struct("problem_id", "sample_index").is_duplicated())
    if repeated.height:
        raise InputError(
            f"{path}: problem {repeated['problem_id'][0]!r} has sample {repeated['sample_index'][0]} twice",
            "Make its artifact again.",
        )
    return found


def _match(ids: pl.Series, judged: pl.DataFrame, source: Path, path: Path) -> pl.DataFrame:
    """One verdict per row, in the order of the rows; a row that nobody judged is refused."""
    matched = ids.to_frame("id").join(judged, on="id", how="left", maintain_order="left")
    unjudged = matched.filter(pl.col("outcome").is_null())["id"]
    if len(unjudged):
        raise InputError(
            f"{source}: {len(unjudged)} of {len(ids)} rows have no sample in {path}, first {unjudged[0]!r}",
            "Sample and score these rows, or select before rows are added.",
        )
    return matched
