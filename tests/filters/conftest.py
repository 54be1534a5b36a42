"""What the tests of filters share: rows on disk, a run of the filter stage."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from pipeline.engines import filter as filter_engine
from pipeline.stages.filter import FilterConfig
from pipeline.store.job import Job


@pytest.fixture
def save_rows(make_rows: Callable[..., Path]) -> Callable[..., Path]:
    """save_rows(frame or list of problems) -> the folder of a dataset artifact."""

    def save(rows: pl.DataFrame | Sequence[str]) -> Path:
        if not isinstance(rows, pl.DataFrame):
            rows = pl.DataFrame({"id": [f"r{i}" for i in range(len(rows))], "problem": list(rows)})
        return make_rows(rows)

    return save


@pytest.fixture
def make_filter_job(make_job: Callable[..., Job], save_rows: Callable[..., Path]) -> Callable[..., Job]:
    """make_filter_job(rows, {name: params}, …, seed=, batch_rows=, against=, policy=) -> Job."""

    def make(rows: Any, *steps: Any, seed: int = 0, batch_rows: int = 7, **inputs: Any) -> Job:
        named = [
            {"name": s} if isinstance(s, str) else {"name": k, "params": v}
            for s in steps
            for k, v in _items(s)
        ]
        config = FilterConfig.model_validate(
            {"filters": tuple(named), "seed": seed, "batch_rows": batch_rows}
        )
        return make_job("filter", config, rows=save_rows(rows), **inputs)

    return make


def _items(step: Any) -> list[tuple[str, Any]]:
    return [("", None)] if isinstance(step, str) else list(step.items())


@pytest.fixture
def run_filters(make_filter_job: Callable[..., Job]) -> Callable[..., tuple[pl.DataFrame, dict[str, Any]]]:
    """run_filters(rows, {name: params}, …) -> (rows, facts)."""

    def run(rows: Any, *steps: Any, **options: Any) -> tuple[pl.DataFrame, dict[str, Any]]:
        job = make_filter_job(rows, *steps, **options)
        facts = filter_engine.run(job)
        json.dumps(facts)
        return pl.read_parquet(job.folder / "rows.parquet"), facts

    return run
