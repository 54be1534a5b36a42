"""Fixtures: a stage run in a temporary folder, a source of one file, the real files. What is heavy is imported when used."""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pipeline import stages
from pipeline.datasets import FieldMap
from pipeline.stages.source import FileSource, SourceConfig, digest_path
from pipeline.store.job import Job
from tests.support import ROOT

if TYPE_CHECKING:
    import polars as pl

MakeJob = Callable[..., Job]


@pytest.fixture
def make_job(tmp_path: Path) -> MakeJob:
    """make_job(stage, config, role=folder or (folders)) -> Job in a new folder."""
    numbers = itertools.count()

    def make(stage: str, config: Any, **inputs: Path | tuple[Path, ...]) -> Job:
        folder = tmp_path / f"{stage}-{next(numbers)}"
        folder.mkdir()
        given = {role: paths if isinstance(paths, tuple) else (paths,) for role, paths in inputs.items()}
        return Job(key=folder.name, stage=stage, config=config, seed=0, inputs=given, folder=folder)

    return make


@pytest.fixture
def run_stage(make_job: MakeJob) -> Callable[..., tuple[pl.DataFrame, dict[str, Any]]]:
    """run_stage(stage, config, **inputs) -> (rows, facts)."""

    def run(stage: str, config: Any, **inputs: Any) -> tuple[pl.DataFrame, dict[str, Any]]:
        import polars as pl

        job = make_job(stage, config, **inputs)
        facts = stages.load(stage).run(job)
        json.dumps(facts)
        return pl.read_parquet(job.folder / "rows.parquet"), facts

    return run


@pytest.fixture
def make_rows(tmp_path: Path) -> Callable[..., Path]:
    """make_rows(frame) -> the folder of a dataset artifact with these rows."""
    numbers = itertools.count()

    def make(frame: pl.DataFrame) -> Path:
        folder = tmp_path / f"rows-{next(numbers)}"
        folder.mkdir()
        frame.write_parquet(folder / "rows.parquet")
        return folder

    return make


@pytest.fixture
def load_lines(tmp_path: Path, run_stage: Callable[..., Any]) -> Callable[..., Any]:
    """load_lines(rows, **fields) -> (rows, facts) of a JSONL file with these rows."""

    def load(rows: list[dict[str, Any]], **fields: Any) -> tuple[pl.DataFrame, dict[str, Any]]:
        path = tmp_path / "rows.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        file = FileSource(digest=digest_path(path), path=str(path))
        return run_stage("source", SourceConfig(file=file, fields=FieldMap(**fields)))

    return load


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real benchmark files (STUDYC_SHARED, or `shared` beside the repository)."""
    beside = ROOT.parent / "shared"
    folder = Path(os.environ.get("STUDYC_SHARED", beside)) / "data"
    if not (folder / "benchmarks").is_dir():
        pytest.skip("no shared data here")
    return folder
