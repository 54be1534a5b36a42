"""The sample stage's work, and how one model load serves a family: the first job draws for its siblings, too.

Guaranteed: a sibling's rows are left in its own folder (work/ready.parquet), as its own job would have drawn them,
and only that job publishes them.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl

from pipeline.engines.rows.frames import write_frame
from pipeline.engines.sampling.load import Loader
from pipeline.engines.sampling.requests import COLUMNS, plan_rows, read_problems, sample_missing
from pipeline.engines.sampling.shards import Shards, measure
from pipeline.errors import StageError, StudyError
from pipeline.stages.sample import SampleConfig
from pipeline.store.atomic import move_file, write_atomically
from pipeline.store.job import Job
from pipeline.store.lock import writer_lock
from pipeline.store.paths import work_path
from pipeline.store.record import is_done

READY = "ready.json"
"""Written last, when all rows of a job are sampled: whose they are, by whom, and their facts."""


def run(job: Job) -> dict[str, Any]:
    """Make job.folder/completions.parquet, and the rows of the siblings named in job.hints['family'].

    Returns the job's own facts: responses, generated_tokens, seconds, tokens_per_second, truncated,
    and the engine's versions. Rows that a sibling's job has already left here are published as they are.
    """
    target = job.folder / "completions.parquet"
    left = _read_ready(job)
    if left is not None and left["made_by"] != job.key:
        return _publish(job, left["facts"])
    loader = Loader(job.one("policy") / "model", job.config, job.work)
    if left is None:
        if target.exists():
            raise StageError(
                f"{target} exists without the facts of how it was made",
                "Move the artifact's folder away and run again.",
            )
        left = _make_ready(job, loader, made_by=job.key)
    for sibling in _siblings(job):
        _serve(sibling, loader, job)
    return _publish(job, left["facts"])


def _siblings(job: Job) -> Iterator[Job]:
    """The jobs of the family that this job's model can serve: same engine and precision."""
    for member in job.hints.get("family", ()):
        config = SampleConfig.model_validate_json(json.dumps(member["config"]))
        same_model = (config.engine, config.precision) == (job.config.engine, job.config.precision)
        if same_model and member["key"] != job.key:
            inputs = {role: tuple(Path(path) for path in paths) for role, paths in member["inputs"].items()}
            folder = Path(member["folder"])
            yield replace(
                job,
                key=member["key"],
                config=config,
                seed=member["seed"],
                inputs=inputs,
                hints={},
                folder=folder,
            )


def _serve(sibling: Job, loader: Loader, leader: Job) -> None:
    """Make one sibling's rows; one that is done, locked, unusable or fails is left to its own job, which says why."""
    made = (sibling.folder / "completions.parquet", work_path(sibling.folder) / READY)
    try:
        with writer_lock(sibling.folder):
            if not (is_done(sibling.folder) or any(path.exists() for path in made)):
                _make_ready(sibling, loader, made_by=leader.key)
    except StudyError as problem:
        print(f"{sibling.key}: left to its own job: {problem.what}", file=sys.stderr)


def _make_ready(job: Job, loader: Loader, *, made_by: str) -> dict[str, Any]:
    """Sample what is missing, then leave work/ready.parquet and, last, work/ready.json, whose content it returns."""
    rows = _wanted_rows(job)
    shards = Shards(job.work, rows)
    if len(shards.done) < rows.height:
        sample_missing(job, loader.sampler(), rows, shards)
    frame = shards.collect().select(COLUMNS)
    facts = measure(frame, shards.seconds, shards.versions())
    write_frame(job.work / "ready.parquet", frame)
    ready = {"key": job.key, "made_by": made_by, "rows": frame.height, "facts": facts}
    write_atomically(job.work / READY, json.dumps(ready))
    shards.drop()
    return ready


def _publish(job: Job, facts: dict[str, Any]) -> dict[str, Any]:
    """Move work/ready.parquet to its final name; a second call finds it there."""
    ready = job.work / "ready.parquet"
    if ready.exists():
        move_file(ready, job.folder / "completions.parquet")
    job.progress(facts["responses"], facts["responses"], "responses")
    return facts


def _read_ready(job: Job) -> dict[str, Any] | None:
    """What work/ready.json says, if it is about this job's rows and they are still there and whole."""
    note = job.work / READY
    places = (job.work / "ready.parquet", job.folder / "completions.parquet")
    path = next((path for path in places if path.exists()), None)
    if path is None or not note.exists():
        return None
    wanted = _wanted_rows(job).select("problem_id", "sample_index", "seed")
    try:
        left: dict[str, Any] = json.loads(note.read_text())
        found = pl.read_parquet(path, columns=["problem_id", "sample_index", "seed"])
    except (pl.exceptions.PolarsError, OSError, ValueError):
        return None
    return left if left["key"] == job.key and found.equals(wanted) else None


def _wanted_rows(job: Job) -> pl.DataFrame:
    """Every row of completions.parquet before its response is known, in order."""
    problems = read_problems(job.one("problems") / "rows.parquet")
    return plan_rows(problems, job.config.samples, job.seed)
