"""Bring in the rows of a data set: from the hub, a file, a folder, or a generator.

Guarantees: one rows.parquet with unique ids, in the source's order, whatever the format; a hub data set
and its offline copy (`local`) give the same rows. Refuses, naming file:line, field or row: what cannot be
mapped; a file whose content is not the one that was planned; a set that gives no rows.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from pydantic import model_validator

from pipeline.datasets import FieldMap, HubSource, RowCondition, SyntheticSource
from pipeline.errors import InputError
from pipeline.fingerprint import Config, content, placement
from pipeline.stages import HubName, Stage


class FileSource(Config):
    """A file (.jsonl, .json, .parquet) or a folder in the hub's own layout, known by its content."""

    digest: str = content(
        describe="Digest of the content, as `digest_path` computes it; the planner fills it in."
    )
    config: str | None = content(None, describe="Configuration, for folders with several.")
    split: str = content("train", describe="Split, for folders.")
    path: str = placement(describe="Where the file lies.")


class SourceConfig(Config):
    """Where rows come from (exactly one of hub, file, synthetic) and how their columns become ours."""

    hub: HubSource | None = content(None, describe="A pinned data set of the hub.")
    file: FileSource | None = content(None, describe="A local file or folder.")
    synthetic: SyntheticSource | None = content(None, describe="Rows made by a generator.")
    fields: FieldMap = content(FieldMap(), describe="Which source columns are which of ours.")
    row_filter: tuple[RowCondition, ...] = content((), describe="Only rows that meet all of these.")

    local: str | None = placement(
        None, describe="Read this offline copy (folder or file) instead of the hub."
    )
    expected_rows: int | None = placement(
        None, describe="Rows that must come out; another number stops the stage.", ge=1
    )

    @model_validator(mode="after")
    def _exactly_one(self) -> SourceConfig:
        given = [name for name in ("hub", "file", "synthetic") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(
                f"a source needs exactly one of hub, file, synthetic; got {', '.join(given) or 'none'}"
            )
        return self

    @property
    def label(self) -> str:
        """What messages call this source."""
        if self.hub is not None:
            return self.local or self.hub.name
        if self.synthetic is not None:
            return f"generator {self.synthetic.generator}"
        assert self.file is not None, "the configuration has exactly one of hub, file, synthetic"
        return self.file.path


def from_catalogue(
    kind: Literal["dataset", "benchmark"],
    name: str,
    *,
    config: str | None = None,
    revision: str | None = None,
    local: str | None = None,
    fields: FieldMap | None = None,
) -> SourceConfig:
    """The source of a named training set or benchmark; unknown names and configurations are refused."""
    from pipeline import benchmarks, datasets

    entry = benchmarks.get(name) if kind == "benchmark" else datasets.get(name)
    origin = entry.origin(config)
    hub = origin.hub
    if hub is not None and revision is not None:
        hub = hub.model_copy(update={"revision": revision})
    return SourceConfig(
        hub=hub,
        synthetic=origin.synthetic,
        fields=fields or entry.fields_of(config),
        row_filter=origin.row_filter,
        local=local,
        expected_rows=origin.rows if kind == "benchmark" else None,
    )


def digest_path(path: Path) -> str:
    """The identity of a file's bytes, or of a folder's files with their names (hidden ones left out).

    64 hex digits, the same that the planner writes into `file.digest`; never cached, bounded memory.
    """
    if path.is_file():
        return _digest_file(path)
    if not path.is_dir():
        raise InputError(
            f"there is no file or folder {path}", "Check the path; it counts from the working folder."
        )
    files = sorted(p for p in path.rglob("*") if _is_data(p, path))
    lines = [f"{p.relative_to(path).as_posix()} {_digest_file(p)}" for p in files]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _digest_file(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _is_data(path: Path, folder: Path) -> bool:
    return path.is_file() and not any(part.startswith(".") for part in path.relative_to(folder).parts)


def _hub_names(config: SourceConfig) -> Iterator[HubName]:
    if config.hub is not None:
        yield HubName("datasets", config.hub.name, config.hub.revision)


STAGE = Stage(
    name="source",
    version=2,
    config=SourceConfig,
    produces="dataset",
    follows=None,
    summary="Bring in the rows of a data set: hub, file or generator.",
    hub_names=_hub_names,
)
