"""What is on disk for a report: records found by key, scores averaged per problem, logs, responses.

Guaranteed: only finished artifacts are read (their record is there); `find` and `find_table` give None for others.
Refused: to read what is not finished, a record or a Parquet file that cannot be read, named with its path.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from pipeline.errors import InputError
from pipeline.request.units import Unit
from pipeline.store import record as records
from pipeline.store.paths import artifact_path
from pipeline.verdicts.paired import Array

IDS = ("problem_id", "sample_index")


@dataclass(frozen=True, kw_only=True)
class Record:
    """The record of one finished artifact, as far as a report needs it."""

    key: str
    stage: str
    folder: Path
    seed: int | None
    inputs: Mapping[str, tuple[str, ...]]
    config: Mapping[str, Any]
    facts: Mapping[str, Any]
    seconds: float
    provenance: Mapping[str, Any]

    @property
    def gpu_seconds(self) -> float:
        """Seconds times the GPUs that the configuration placed it on (0 on a CPU)."""
        gpus = self.config.get("gpus", 0)
        return self.seconds * gpus if isinstance(gpus, int) else 0.0


@dataclass(frozen=True)
class Means:
    """The responses of one unit, averaged per problem; problems sorted by id, columns aligned with them."""

    problems: tuple[str, ...]
    samples: npt.NDArray[np.int64]
    columns: Mapping[str, Array]
    shares: frozenset[str]


def read_record(folder: Path, stage: str, key: str) -> Record:
    """One record as a typed value: the only place that knows the file's layout."""
    plain = records.read_record(folder)
    inputs = {role: tuple(keys) for role, keys in (plain.get("inputs") or {}).items()}
    return Record(
        key=key,
        stage=stage,
        folder=folder,
        seed=plain.get("seed"),
        inputs=inputs,
        config=plain.get("config") or {},
        facts=plain.get("facts") or {},
        seconds=float(plain.get("seconds") or 0.0),
        provenance=plain.get("provenance") or {},
    )


class Store:
    """The finished artifacts under one results folder; each file is read once."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.stages = records.list_stages(root)
        self._records: dict[str, Record | None] = {}
        self._means: dict[tuple[str, ...], Means] = {}
        self._rows: dict[tuple[str, ...], pl.DataFrame] = {}

    def find(self, key: str) -> Record | None:
        """The record of a finished artifact, whatever its stage; None while it is not done."""
        if key not in self._records:
            self._records[key] = next(
                (
                    read_record(artifact_path(self.root, stage, key), stage, key)
                    for stage in self.stages
                    if records.is_recorded(self.root, stage, key)
                ),
                None,
            )
        return self._records[key]

    def read(self, key: str) -> Record:
        """The record of an artifact that is done."""
        found = self.find(key)
        if found is None:
            raise InputError(f"{key} is not done", "Run the study, or draw its report without it.")
        return found

    def lineage(self, keys: Iterable[str]) -> list[Record]:
        """The finished artifacts among `keys` and everything that they were made from, by stage and key."""
        seen: dict[str, Record] = {}
        waiting = list(dict.fromkeys(keys))
        while waiting:
            key = waiting.pop()
            found = None if key in seen else self.find(key)
            if found is not None:
                seen[key] = found
                waiting += [source for sources in found.inputs.values() for source in sources]
        return sorted(seen.values(), key=lambda record: (record.stage, record.key))

    def find_table(self, key: str, name: str) -> pl.DataFrame | None:
        """A Parquet file of an artifact; None while the artifact is not done."""
        return None if self.find(key) is None else self.read_table(key, name)

    def read_table(self, key: str, name: str) -> pl.DataFrame:
        """A Parquet file of an artifact that is done."""
        path = self.read(key).folder / name
        try:
            return pl.read_parquet(path)
        except (OSError, pl.exceptions.PolarsError) as error:
            raise InputError(f"{path}: not readable: {error}", "Run `studyc verify`.") from None

    def has(self, unit: Unit, analyses: Sequence[str] = ()) -> bool:
        """Whether the unit's scores and these analyses of it are done."""
        keys = [unit.scores, *(unit.analyses.get(name, "") for name in analyses)]
        return all(key and self.find(key) is not None for key in keys)

    def rows(self, unit: Unit, analyses: Sequence[str] = ()) -> pl.DataFrame:
        """The unit's responses, one row each: correct, tokens, truncated, extracted, and the analyses' columns."""
        key = (unit.scores, *(unit.analyses[name] for name in analyses))
        if key not in self._rows:
            self._rows[key] = self._join(unit, analyses)
        return self._rows[key]

    def means(self, unit: Unit, analyses: Sequence[str] = ()) -> Means:
        """The unit's responses averaged per problem, with the columns of the analyses that are named."""
        key = (unit.scores, *(unit.analyses[name] for name in analyses))
        if key not in self._means:
            self._means[key] = average_rows(self._join(unit, analyses))
        return self._means[key]

    def _join(self, unit: Unit, analyses: Sequence[str]) -> pl.DataFrame:
        scores = self.read_table(unit.scores, "scores.parquet")
        extracted = pl.col("extracted") if "extracted" in scores.columns else pl.lit(None, pl.String)
        table = scores.select(
            *IDS,
            pl.col("correct"),
            pl.col("n_tokens").alias("tokens"),
            (pl.col("finish_reason") == "length").alias("truncated"),
            extracted.alias("extracted"),
        )
        for name in analyses:
            extra = self.read_table(unit.analyses[name], "measures.parquet")
            extra = extra.rename({c: f"{name}.{c}" for c in extra.columns if c not in IDS})
            table = table.join(extra, on=list(IDS), how="left")
        return table


def average_rows(table: pl.DataFrame) -> Means:
    """Responses averaged per problem, every column that is a number or yes and no."""
    names = [
        name
        for name, kind in table.schema.items()
        if name not in IDS and (kind.is_numeric() or kind == pl.Boolean)
    ]
    shares = frozenset(name for name in names if table.schema[name] == pl.Boolean)
    grouped = (
        table.group_by("problem_id")
        .agg(pl.len().alias("samples"), *[pl.col(n).cast(pl.Float64).drop_nans().mean() for n in names])
        .sort("problem_id")
    )
    columns = {name: grouped[name].to_numpy() for name in names}
    return Means(tuple(grouped["problem_id"]), grouped["samples"].to_numpy(), columns, shares)
