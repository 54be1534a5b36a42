"""The source stage's work: bring in the rows of a data set in our columns.

Reads what its configuration names (the hub, a file or folder, a generator), in batches; leaves rows.parquet.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import polars as pl

from pipeline.datasets import HubSource, SyntheticSource
from pipeline.engines.rows.dropped import DroppedRows
from pipeline.engines.rows.fields import map_batch, needed_columns
from pipeline.engines.rows.files import KeepColumns, read_file
from pipeline.engines.rows.hub import read_folder, read_hub
from pipeline.engines.rows.parquet import BATCH_ROWS
from pipeline.engines.rows.store import RowStore
from pipeline.errors import InputError
from pipeline.stages.source import SourceConfig, digest_path
from pipeline.store.job import Job


def run(job: Job) -> dict[str, Any]:
    """Write job.folder/rows.parquet and return what came in, what went out and why the rest did not."""
    config: SourceConfig = job.config
    dropped = DroppedRows()
    store = RowStore(job.work, config.label)
    rows_in = 0
    for raw in read_batches(config):
        mapped = map_batch(raw, config.fields, config.row_filter, config.label, rows_in + 1, dropped)
        store.append(mapped)
        rows_in += len(raw)
        job.progress(rows_in, config.expected_rows or rows_in, "rows")
    _check_counts(config, rows_in, store.rows, dropped)
    rows_out = store.finish(job.folder / "rows.parquet")
    return {"rows_in": rows_in, "rows_out": rows_out, **dropped.facts()}


def read_batches(config: SourceConfig) -> Iterator[pl.DataFrame]:
    """Raw batches of any source, with only the columns that mapping needs."""

    def keep(schema: pl.Schema) -> list[str]:
        return needed_columns(config.fields, config.row_filter, schema, config.label)

    if config.synthetic is not None:
        return _generate(config.synthetic)
    if config.file is not None:
        return _read_planned_file(config, keep)
    if config.hub is not None and config.local is None:
        return read_hub(config.hub, keep)
    return _read_local(Path(config.local or "").expanduser(), config.hub or HubSource(name=""), keep)


def _read_planned_file(config: SourceConfig, keep: KeepColumns) -> Iterator[pl.DataFrame]:
    assert config.file is not None
    path = Path(config.file.path).expanduser()
    found = digest_path(path)
    if found != config.file.digest:
        raise InputError(
            f"{path} has changed since it was planned (digest {found[:12]}, not {config.file.digest[:12]})",
            "Run `studyc plan` again to plan with the file as it is now.",
        )
    return _read_local(
        path, HubSource(name=str(path), config=config.file.config, split=config.file.split), keep
    )


def _read_local(path: Path, source: HubSource, keep: KeepColumns) -> Iterator[pl.DataFrame]:
    if path.is_dir():
        return read_folder(path, source, keep)
    return read_file(path, keep)


def _generate(source: SyntheticSource) -> Iterator[pl.DataFrame]:
    """Rows of a generator in batches; the generator validates its own parameters."""
    from pipeline import generators

    generator = generators.get(source.generator)
    params = generator.Params.model_validate(source.params)
    rows = iter(generator.generate(params, source.rows, source.seed))
    while batch := list(islice(rows, BATCH_ROWS)):
        yield pl.from_dicts(batch, infer_schema_length=None)


def _check_counts(config: SourceConfig, rows_in: int, rows_out: int, dropped: DroppedRows) -> None:
    if rows_in == 0:
        raise InputError(f"{config.label} holds no rows", "Check the split and the file.")
    if rows_out == 0:
        reasons = ", ".join(f"{count} for {reason}" for reason, count in dropped.counts.items())
        raise InputError(
            f"{config.label}: none of {rows_in} rows is left ({reasons})", "Check row_filter and fields."
        )
    if config.expected_rows is not None and rows_out != config.expected_rows:
        raise InputError(
            f"{config.label} gives {rows_out} rows ({rows_in} read), not the {config.expected_rows} expected",
            "The copy is incomplete or another version; download it again, or name its own file as `file`.",
        )
