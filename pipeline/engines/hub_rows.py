"""Read data sets in the hub's own formats, through the library `datasets`.

A pinned data set of the hub is downloaded once into the library's cache and read from there as Arrow
batches; a local folder (a snapshot with README.md and data/*.parquet, or any layout that the library
knows) is streamed and never copied. The library decides which files make a split; where they are Parquet
and the card states no types of its own, they are read directly, the needed columns alone. Refused, with the library's reason: what it cannot find or read.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl

from pipeline.datasets import HubSource
from pipeline.engines.row_files import KeepColumns, arrow_columns, read_file
from pipeline.engines.row_parquet import BATCH_ROWS, to_frame
from pipeline.errors import InputError, RefusedError

UNPINNED = "unpinned"
"""What the planner writes for a name that the lock file lacks (pipeline.spec.lock)."""


def read_hub(source: HubSource, keep: KeepColumns) -> Iterator[pl.DataFrame]:
    """Batches of raw rows of a pinned data set."""
    if source.revision in (None, UNPINNED):
        raise RefusedError(
            f"data set {source.name!r} is not pinned to a commit, so its rows could change under the study",
            "Pin it with `studyc pin`, or give an offline copy with `local`.",
        )
    yield from _batches(_load(source.name, source, revision=source.revision), keep, source.name)


def read_folder(folder: Path, source: HubSource, keep: KeepColumns) -> Iterator[pl.DataFrame]:
    """Batches of raw rows of a local folder in the hub's layout."""
    if not folder.is_dir():
        raise InputError(
            f"there is no folder {folder}", "Check the path, or leave `local` out to read the hub."
        )
    files = _parquet_files(str(folder.resolve()), source)
    if files is None:
        yield from _batches(_load(str(folder.resolve()), source, streaming=True), keep, str(folder))
        return
    for file in files:
        yield from read_file(file, keep)


def _parquet_files(path: str, source: HubSource) -> list[Path] | None:
    """The local Parquet files of a split, in order; None where they need the library to be read."""
    from datasets import load_dataset_builder
    from datasets.packaged_modules.parquet.parquet import Parquet

    options = {"data_files": {source.split: list(source.files)}} if source.files is not None else {}
    try:
        builder = load_dataset_builder(path, source.config, **options)
    except (ValueError, OSError, RuntimeError) as error:
        raise _unreadable(path, source, error) from error
    splits = builder.config.data_files or {}
    wanted = source.split.split("+")
    if (
        not isinstance(builder, Parquet)
        or builder.info.features
        or any(name not in splits for name in wanted)
    ):
        return None
    files = [Path(file) for name in wanted for file in splits[name]]
    return files if all(file.is_file() for file in files) else None


def _load(path: str, source: HubSource, **options: Any) -> Any:
    from datasets import disable_progress_bars, load_dataset

    disable_progress_bars()
    if source.files is not None:
        options["data_files"] = {source.split: list(source.files)}
    try:
        return load_dataset(path, source.config, split=source.split, **options)
    except (ValueError, OSError, RuntimeError) as error:
        raise _unreadable(path, source, error) from error


def _unreadable(path: str, source: HubSource, error: Exception) -> InputError:
    wanted = f"config {source.config or 'default'}, split {source.split}"
    reason = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
    return InputError(
        f"data set {path} ({wanted}) cannot be read: {reason}",
        "Check its name, configuration and split, and the network; `local` reads an offline copy.",
    )


def _batches(rows: Any, keep: KeepColumns, path: str) -> Iterator[pl.DataFrame]:
    """Arrow batches of a Dataset or an IterableDataset."""
    try:
        columns: list[str] | None = None
        for table in rows.with_format("arrow").iter(batch_size=BATCH_ROWS):
            columns = columns or keep(arrow_columns(table.schema))
            yield to_frame(table.select(columns))
    except (ValueError, OSError, RuntimeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"data set {path} cannot be read: {reason}", "Download it again.") from error
