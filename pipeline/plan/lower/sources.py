"""Where rows come from → source artifacts: the hub, a catalogue entry, a file or a generator."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pipeline import benchmarks, datasets, generators, stages
from pipeline.datasets import DatasetEntry, FieldMap
from pipeline.errors import Problem, StudyError, suggest
from pipeline.locate import PathTuple
from pipeline.plan.digests import folder_digest
from pipeline.plan.lower.answers import Rows
from pipeline.plan.lower.demands import Benchmark
from pipeline.plan.lower.entry import validate_entry
from pipeline.plan.lower.resolver import Resolver
from pipeline.spec.levels import Problems, Settings, validate_settings
from pipeline.spec.models import SourceSpec
from pipeline.spec.problems import place_in
from pipeline.stages.source import from_catalogue


def lower_source(resolver: Resolver, name: str, source: SourceSpec) -> Rows | None:
    """The artifact of a data entry's source; None after noting what is wrong."""
    path: PathTuple = ("data", name, "source")
    if source.dataset is not None:
        return _catalogued(resolver, "data set", source.dataset, source, path)
    if source.benchmark is not None:
        return _catalogued(resolver, "benchmark", source.benchmark, source, path)
    values: dict[str, Any] = {}
    rows = None
    if source.fields is not None:
        values["fields"] = source.fields
    if source.synthetic is not None:
        values["synthetic"] = _synthetic(source.synthetic, source, path, resolver.problems)
        rows, slug = source.rows, source.synthetic
        if values["synthetic"] is None:
            return None
    elif source.file is not None:
        values["file"] = _file(source.file, source, path, resolver.problems)
        slug = source.file.rstrip("/").rsplit("/", 1)[-1].split(".")[0]
    else:
        hub = source.hub or ""  # a source without any of them has no shape
        revision = resolver.study.lock.revision("datasets", hub)
        given = {"name": hub, "config": source.config, "split": source.split, "revision": revision}
        values["hub"] = {key: value for key, value in given.items() if value is not None}
        slug = hub.rsplit("/", 1)[-1]
    if source.local is not None:
        values["local"] = source.local
    # a study may draw on one generator or repository many times: only its own names tell them apart
    called = slug if slug == name else f"{name} ({slug})"
    settings = Settings(values, {key: (*path, key) for key in values}, path)
    model = stages.load("source").config
    config = validate_settings(model, values, settings, resolver.problems, label=".".join(map(str, path)))
    if config is None:
        return None
    return Rows(resolver.datasets.add("source", config, 0, {}, f"source {called}", slug), rows, slug, slug)


def _file(file: str, source: SourceSpec, path: PathTuple, problems: Problems) -> dict[str, Any]:
    where = problems.document.locate((*path, "file"))
    given = {"path": file, "digest": folder_digest(file, problems, where)}
    given |= {"split": source.split} if source.split is not None else {}
    return given | ({"config": source.config} if source.config is not None else {})


def _synthetic(
    generator: str, source: SourceSpec, path: PathTuple, problems: Problems
) -> dict[str, Any] | None:
    locate = place_in(problems.document, path)
    if generator not in generators.names():
        remedy = suggest(generator, generators.names())
        problems.append(Problem(f"generator {generator!r} is unknown", remedy, locate(("synthetic",), False)))
        return None
    params = validate_entry(generators, "generator", generator, source.params, ("params",), locate, problems)
    if params is None:
        return None
    return {"generator": generator, "rows": source.rows, "seed": source.seed, "params": params.identity()}


def lower_benchmark(resolver: Resolver, demand: Benchmark) -> Rows | None:
    """The rule of `Benchmark`."""
    name = demand.name
    return _catalogued(resolver, "benchmark", name, SourceSpec(benchmark=name), ("measure",))


def _catalogued(resolver: Resolver, kind: str, name: str, source: SourceSpec, path: PathTuple) -> Rows | None:
    word: Literal["dataset", "benchmark"] = "dataset" if kind == "data set" else "benchmark"
    try:
        entry: DatasetEntry = datasets.get(name) if word == "dataset" else benchmarks.get(name)
        origin = entry.origin(source.config)
    except StudyError as error:
        resolver.problems.add((*path, word), f"{kind}: {error.what}", error.remedy)
        return None
    hub = origin.hub.name if origin.hub is not None else None
    config = from_catalogue(
        word,
        name,
        config=source.config,
        revision=resolver.study.lock.revision("datasets", hub) if hub else None,
        local=source.local,
        fields=_fields(source.fields, path, resolver.problems),
    )
    called = name if source.config is None else f"{name} {source.config}"
    title = f"source {called}" if word == "dataset" else f"benchmark {called}"
    return Rows(resolver.datasets.add("source", config, 0, {}, title, name), origin.rows, name, name)


def _fields(given: Mapping[str, Any] | None, path: PathTuple, problems: Problems) -> FieldMap | None:
    """The field map that a source gives itself, validated where it stands."""
    if given is None:
        return None
    place = (*path, "fields")
    settings = Settings(given, {key: (*place, key) for key in given}, place)
    return validate_settings(FieldMap, given, settings, problems, label="fields")


def is_local(name: str) -> bool:
    """Whether a tokenizer's name is a path: written as one, or the name of a folder here."""
    return name.startswith(("/", "./", "../", "~")) or Path(name).expanduser().is_dir()
