"""Where rows come from → source artifacts: the hub, a catalogue entry, a file or a generator."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline import benchmarks, datasets, generators
from pipeline.errors import Problem, StudyError, suggest
from pipeline.plan.digests import folder_digest
from pipeline.plan.lower.recipes import validate_entry
from pipeline.spec.levels import Problems, Settings, validate_settings
from pipeline.spec.models import SourceSpec
from pipeline.spec.study import Study
from pipeline.stages.source import SourceConfig, from_catalogue

Add = Callable[..., str]
"""add(stage, config, seed, inputs, title, name) -> key."""


@dataclass(frozen=True)
class Rows:
    """A dataset artifact and the most rows that it can hold, where that is known."""

    key: str
    at_most: int | None
    name: str
    label: str
    """What a policy trained on it is called after: the number of rows of a subset, else the name."""


class SourceLowering:
    """Lowers sources; problems are collected."""

    def __init__(self, study: Study, problems: Problems, add: Add) -> None:
        self.study = study
        self.problems = problems
        self.add = add

    def source(self, name: str, source: SourceSpec) -> Rows | None:
        """The artifact of a data entry's source."""
        path = ("data", name, "source")
        if source.dataset is not None:
            return self._catalogued(datasets, "data set", source.dataset, source, path)
        if source.benchmark is not None:
            return self._catalogued(benchmarks, "benchmark", source.benchmark, source, path)
        values: dict[str, Any] = {}
        rows, slug = None, name
        if source.fields is not None:
            values["fields"] = source.fields
        if source.synthetic is not None:
            values["synthetic"] = self._synthetic(source, path)
            rows, slug = source.rows, source.synthetic
            if values["synthetic"] is None:
                return None
        elif source.file is not None:
            where = self.problems.document.locate((*path, "file"))
            values["file"] = {"path": source.file, "digest": folder_digest(source.file, self.problems, where)}
            if source.split is not None:
                values["file"]["split"] = source.split
            if source.config is not None:
                values["file"]["config"] = source.config
            slug = source.file.rstrip("/").rsplit("/", 1)[-1].split(".")[0]
        else:
            revision = self.study.lock.revision("datasets", source.hub)
            hub = {"name": source.hub, "config": source.config, "split": source.split, "revision": revision}
            values["hub"] = {key: value for key, value in hub.items() if value is not None}
            slug = source.hub.rsplit("/", 1)[-1]
        # a study may draw on one generator or repository many times: only its own names tell them apart
        called = slug if slug == name else f"{name} ({slug})"
        return self._add_source(values, source.local, path, rows, slug, called)

    def _add_source(
        self, values: dict[str, Any], local: str | None, path: tuple, rows: int | None, slug: str, called: str
    ) -> Rows | None:
        if local is not None:
            values["local"] = local
        settings = Settings(
            values, {key: (*path, "fields" if key == "fields" else key) for key in values}, path
        )
        config = validate_settings(SourceConfig, values, settings, self.problems, label=".".join(path))
        if config is None:
            return None
        return Rows(self.add("source", config, 0, {}, f"source {called}", slug), rows, slug, slug)

    def _synthetic(self, source: SourceSpec, path: tuple) -> dict[str, Any] | None:
        locate = lambda below, key: self.problems.document.locate((*path, *below), key=key)
        if source.synthetic not in generators.names():
            remedy = suggest(source.synthetic, generators.names())
            self.problems.append(
                Problem(f"generator {source.synthetic!r} is unknown", remedy, locate(("synthetic",), False))
            )
            return None
        params = validate_entry(
            generators, "generator", source.synthetic, source.params, ("params",), locate, self.problems
        )
        if params is None:
            return None
        return {
            "generator": source.synthetic,
            "rows": source.rows,
            "seed": source.seed,
            "params": params.identity(),
        }

    def benchmark(self, name: str) -> Rows | None:
        """The artifact of a benchmark of the catalogue."""
        return self._catalogued(benchmarks, "benchmark", name, SourceSpec(benchmark=name), ("measure",))

    def _catalogued(
        self, catalogue: Any, kind: str, name: str, source: SourceSpec, path: tuple
    ) -> Rows | None:
        try:
            entry = catalogue.get(name)
            origin = entry.origin(source.config)
        except StudyError as error:
            self.problems.add(
                (*path, "dataset" if kind == "data set" else "benchmark"),
                f"{kind}: {error.what}",
                error.remedy,
            )
            return None
        hub = origin.hub.name if origin.hub is not None else None
        fields = self._fields(source, path)
        config = from_catalogue(
            "dataset" if kind == "data set" else "benchmark",
            name,
            config=source.config,
            revision=self.study.lock.revision("datasets", hub) if hub else None,
            local=source.local,
            fields=fields,
        )
        called = name if source.config is None else f"{name} {source.config}"
        title = f"source {called}" if kind == "data set" else f"benchmark {called}"
        return Rows(self.add("source", config, 0, {}, title, name), origin.rows, name, name)

    def _fields(self, source: SourceSpec, path: tuple) -> Any:
        """The field map that a source gives itself, validated where it stands."""
        if source.fields is None:
            return None
        place = (*path, "fields")
        settings = Settings(source.fields, {key: (*place, key) for key in source.fields}, place)
        return validate_settings(datasets.FieldMap, source.fields, settings, self.problems, label="fields")


def is_local(name: str) -> bool:
    """Whether a tokenizer's name is a path: written as one, or the name of a folder here."""
    return name.startswith(("/", "./", "../", "~")) or Path(name).expanduser().is_dir()
