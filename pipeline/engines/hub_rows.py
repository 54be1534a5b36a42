"""Read data sets in the hub's own formats, through the library `datasets`.

A pinned data set of the hub is downloaded once into the library's cache and read from there as Arrow
batches; a local folder (a snapshot with README.md and data/*.parquet, or any layout that the library
knows) is streamed and never copied. The library decides which files make a split; where they are Parquet or JSON
lines and the card states no types of its own, they are read directly: of Parquet the needed columns alone, of JSON
what is written there, where the library takes text for dates and cannot tell "1" from 1 once a field has both.
Refused, with the library's reason: what it cannot find or read; a field in which it found several kinds of values.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import polars as pl
from yaml import YAMLError

from pipeline.datasets import HubSource
from pipeline.engines.row_files import KeepColumns, arrow_columns, read_file
from pipeline.engines.row_parquet import BATCH_ROWS, to_frame
from pipeline.errors import InputError, RefusedError

_ERRORS = (ValueError, TypeError, OSError, RuntimeError, StopIteration, YAMLError)
"""What the library raises for data that it cannot find or read."""

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
    files = _plain_files(str(folder.resolve()), source)
    if files is None:
        yield from _batches(_load(str(folder.resolve()), source, streaming=True), keep, str(folder))
        return
    for file in files:
        yield from read_file(file, keep)


def _plain_files(path: str, source: HubSource) -> list[Path] | None:
    """The local files of a split, in order; None where they need the library to be read."""
    from datasets import load_dataset_builder

    options = {"data_files": {source.split: list(source.files)}} if source.files is not None else {}
    try:
        builder = load_dataset_builder(path, source.config, **options)
    except _ERRORS as error:
        raise _unreadable(path, source, error) from error
    splits = builder.config.data_files or {}
    wanted = source.split.split("+")
    if builder.info.features or any(name not in splits for name in wanted):
        return None
    files = [Path(file) for name in wanted for file in splits[name]]
    return files if all(_is_plain(file, builder) for file in files) else None


def _is_plain(file: Path, builder: Any) -> bool:
    """Whether our own readers take a file for what the library would."""
    from datasets.packaged_modules.json.json import Json
    from datasets.packaged_modules.parquet.parquet import Parquet

    if not file.is_file():
        return False
    if isinstance(builder, Json) and builder.config.field is None:
        return file.suffix in (".jsonl", ".ndjson")
    return isinstance(builder, Parquet) and file.suffix == ".parquet"


def _load(path: str, source: HubSource, **options: Any) -> Any:
    from datasets import disable_progress_bars, load_dataset

    disable_progress_bars()
    if source.files is not None:
        options["data_files"] = {source.split: list(source.files)}
    try:
        return load_dataset(path, source.config, split=source.split, **options)
    except _ERRORS as error:
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
            if columns is None:
                schema = arrow_columns(table.schema)
                columns = keep(schema)
                _refuse_mixed({name: schema[name] for name in columns}, path)
            yield to_frame(table.select(columns))
    except _ERRORS as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"data set {path} cannot be read: {reason}", "Download it again.") from error


def _refuse_mixed(schema: Mapping[str, pl.DataType], path: str) -> None:
    """Refuse fields in a type of the library's own, as which it gives those of several kinds."""
    for name, dtype in schema.items():
        if "Extension(" in str(dtype):
            raise InputError(
                f"data set {path}: field {name!r} holds values of several kinds, or of one that only `datasets` knows",
                "Leave it out with fields.extra, or save the set as JSON lines with one kind of value in every field.",
            )
