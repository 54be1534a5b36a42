"""The filter stage's work: apply the catalogue's filters in order, count what goes and why.

Reads the rows of input `rows` (of `against` and the tokenizer of `policy` where a filter asks for them); leaves
rows.parquet.
Each filter judges the rows that are left, reading only the columns that it needs; the texts are written
once, at the end, in a stream. A judgement that is finished is kept in the working folder, so that a
killed job does not tokenise or grade again.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl

from pipeline import filters
from pipeline.engines.policy.folder import quiet_libraries
from pipeline.engines.rows.dropped import count_dropped
from pipeline.engines.rows.frames import is_whole
from pipeline.engines.rows.store import count_rows
from pipeline.engines.rows.view import RowView
from pipeline.errors import InputError, StageError
from pipeline.filters import FilterContext
from pipeline.filters._pool import Workers
from pipeline.fingerprint import canonical_json, digest
from pipeline.stages.filter import FilterConfig
from pipeline.stages.source import digest_path
from pipeline.store.atomic import replaced_file
from pipeline.store.job import Job


def run(job: Job) -> dict[str, Any]:
    """Write job.folder/rows.parquet; the facts give per filter rows in, rows out, reasons and examples."""
    config: FilterConfig = job.config
    quiet_libraries()
    context = make_context(job, config)
    with Workers(context.processes) as workers:
        return _apply(job, config, replace(context, workers=workers))


def _apply(job: Job, config: FilterConfig, context: FilterContext) -> dict[str, Any]:
    source = job.one("rows") / "rows.parquet"
    rows_in = left = count_rows(source)
    view = RowView.of_file(source, rows_in)
    steps: list[dict[str, Any]] = []
    for number, step in enumerate(config.filters):
        job.progress(number, len(config.filters), "filters", filter=step.name)
        module, params = filters.get(step.name), filters.validate(step.name, step.params)
        verdicts = _judge_once(job, config, number, module, view, params, context)
        if hasattr(module, "rewrite"):
            checks = {"check": module.check} if hasattr(module, "check") else {}
            view = view.rewritten(
                module.rewrite(view.schema, params), verdicts.drop("id", "reason"), **checks
            )
        dropped = count_dropped(verdicts)
        view = view.without(verdicts["reason"].is_not_null().to_numpy())
        kept = left - dropped.counts.total()
        steps.append({"filter": step.name, "rows_in": left, "rows_out": kept, **dropped.facts()})
        left = kept
        if left == 0:
            raise _emptied(steps)
    view.write(job.folder / "rows.parquet")
    job.progress(len(config.filters), len(config.filters), "filters")
    return {"rows_in": rows_in, "rows_out": left, "filters": steps}


def make_context(job: Job, config: FilterConfig) -> FilterContext:
    """What filters are given besides the rows, from the job's inputs."""
    policies = job.inputs.get("policy", ())
    return FilterContext(
        against=tuple(folder / "rows.parquet" for folder in job.inputs.get("against", ())),
        tokenizer=policies[0] / "model" if policies else None,
        seed=config.seed,
        folders={digest: _unchanged(path, digest) for digest, path in config.folders.items()},
        batch_rows=config.batch_rows,
        processes=max(config.processes, int(os.environ.get("OMP_NUM_THREADS") or 1)),
    )


def _unchanged(path: str, planned: str) -> str:
    """The folder that a parameter names by its digest, if its content still is that one."""
    folder = Path(path).expanduser()
    if digest_path(folder) != planned:
        raise InputError(
            f"the tokenizer {path} has changed since it was planned",
            "Run `studyc plan` again to plan with the folder as it is now.",
        )
    return str(folder)


def _judge_once(
    job: Job,
    config: FilterConfig,
    number: int,
    module: Any,
    view: RowView,
    params: Any,
    context: FilterContext,
) -> pl.DataFrame:
    """The filter's verdicts, from the working folder where an earlier attempt left them."""
    done = [[step.name, step.params] for step in config.filters[: number + 1]]
    path: Path = job.work / f"verdicts-{number}-{digest(canonical_json([done, config.seed]))}.parquet"
    if is_whole(path):
        return pl.read_parquet(path)
    try:
        verdicts = module.judge(view.scan(), params, context)
    except pl.exceptions.PolarsError as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"filter {config.filters[number].name} cannot read its rows: {reason}") from error
    with replaced_file(path) as scratch:
        verdicts.write_parquet(scratch)
    return verdicts


def _emptied(steps: list[dict[str, Any]]) -> StageError:
    """The message for a filter that left nothing: its reasons, and the counts of all filters so far."""
    last = steps[-1]
    reasons = ", ".join(f"{count} × {reason}" for reason, count in last["dropped"].items())
    path = " → ".join(f"{step['filter']} {step['rows_out']}" for step in steps)
    return StageError(
        f"filter {last['filter']} leaves nothing of {last['rows_in']} rows ({reasons})",
        f"Loosen it. Rows so far: {steps[0]['rows_in']} → {path}.",
    )
