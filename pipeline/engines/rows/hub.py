"""Read data sets in the hub's own formats, through the library `datasets`.

A pinned data set of the hub is downloaded once into the library's cache and read from there as Arrow
batches; a local folder (a snapshot with README.md and data/*.parquet, or any layout that the library
knows) is streamed and never copied. The library decides which files make a split; where they are Parquet or JSON
lines and the card states no types of its own, they are read directly: of Parquet the needed columns alone, of JSON
what is written there, where the library takes text for dates and cannot tell "1" from 1 once a field has both.
Refused, with the library's reason: what it cannot find or read; a field in which it found several kinds of values.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa

from pipeline.datasets import HubSource
from pipeline.engines.rows.files import KeepColumns, arrow_columns, read_file
from pipeline.engines.rows.parquet import BATCH_ROWS, to_frame
from pipeline.errors import InputError, RefusedError, StudyError
from pipeline.store.attempts import is_full

UNPINNED = "unpinned"
"""What the planner writes for a name that the lock file lacks (pipeline.spec.lock)."""


def read_hub(source: HubSource, keep: KeepColumns) -> Iterator[pl.DataFrame]:
    """Batches of raw rows of a pinned data set."""
    if source.revision in (None, UNPINNED):
        raise RefusedError(
            f"data set {source.name!r} is not pinned to a commit, so its rows could change under the study",
            "Pin it with `studyc pin`, or give an offline copy with `local`.",
        )
    yield from _batches(_load(source.name, source, revision=source.revision), keep, source.name, source)


def read_folder(folder: Path, source: HubSource, keep: KeepColumns) -> Iterator[pl.DataFrame]:
    """Batches of raw rows of a local folder in the hub's layout."""
    if not folder.is_dir():
        raise InputError(
            f"there is no folder {folder}", "Check the path, or leave `local` out to read the hub."
        )
    files = _plain_files(str(folder.resolve()), source)
    if files is None:
        yield from _batches(_load(str(folder.resolve()), source, streaming=True), keep, str(folder), source)
        return
    for file in files:
        yield from read_file(file, keep)


def _plain_files(path: str, source: HubSource) -> list[Path] | None:
    """The local files of a split, in order; None where they need the library to be read."""
    from datasets import load_dataset_builder

    options = {"data_files": {source.split: list(source.files)}} if source.files is not None else {}
    try:
        builder = load_dataset_builder(path, source.config, **options)
    except Exception as error:  # the library, its readers and its transports have no common base
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
    except Exception as error:  # the library, its readers and its transports have no common base
        raise _unreadable(path, source, error) from error


def _unreadable(path: str, source: HubSource, error: BaseException) -> BaseException:
    """The refusal of what the library could not read; a disk that is full stays what it is."""
    cause = _first_cause(error)
    if is_full(cause):
        return cause
    wanted = f"config {source.config or 'default'}, split {source.split}"
    lines = [line.strip() for line in str(cause).splitlines() if any(map(str.isalnum, line))] or [
        type(cause).__name__
    ]
    reason = " … ".join(dict.fromkeys([lines[0], lines[-1]]))  # what, and because of what
    return InputError(
        f"data set {path} ({wanted}) cannot be read: {reason}",
        "Check its name, configuration and split, and the network; `local` reads an offline copy.",
    )


def _first_cause(error: BaseException) -> BaseException:
    return error if error.__cause__ is None else _first_cause(error.__cause__)


def _batches(rows: Any, keep: KeepColumns, path: str, source: HubSource) -> Iterator[pl.DataFrame]:
    """Arrow batches of a Dataset or an IterableDataset."""
    try:
        columns: list[str] | None = None
        for table in rows.with_format("arrow").iter(batch_size=BATCH_ROWS):
            columns = columns or _choose_columns(table.schema, keep, path)
            yield to_frame(table.select(columns))
    except StudyError:
        raise
    except Exception as error:  # as above
        raise _unreadable(path, source, error) from error


def _choose_columns(schema: pa.Schema, keep: KeepColumns, path: str) -> list[str]:
    """The kept columns; one in a type of the library's own, as which it gives fields of several kinds, is refused."""
    own = {field.name: pl.Object() for field in schema if "extension<" in str(field.type)}
    plain = pa.schema([field for field in schema if field.name not in own])
    columns = keep(pl.Schema({**arrow_columns(plain), **own}))
    for name in columns:
        if name in own:
            raise InputError(
                f"data set {path}: field {name!r} holds values of several kinds, or of one that only `datasets` knows",
                "Leave it out with fields.extra, or save the set as JSON lines with one kind of value in every field.",
            )
    return columns
