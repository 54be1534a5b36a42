"""A study's data entries → source, mix, filter and subset artifacts, each distinct one once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline import benchmarks, datasets, filters, generators, stages
from pipeline.errors import Problem, StudyError, suggest
from pipeline.filters.max_tokens import BY_DIGEST
from pipeline.fingerprint import Config
from pipeline.plan.digests import folder_digest
from pipeline.plan.recipes import validate_entry
from pipeline.spec.levels import Problems, Settings, validate_settings
from pipeline.spec.lock import UNPINNED
from pipeline.spec.models import DataSpec, SourceSpec
from pipeline.spec.study import Study

Add = Callable[..., str]
"""add(stage, config, seed, inputs, title, name) -> key."""

BENCHMARK = "benchmark:"


@dataclass(frozen=True)
class Rows:
    """A dataset artifact and the most rows that it can hold, where that is known."""

    key: str
    at_most: int | None
    name: str
    label: str
    """What a policy trained on it is called after: the number of rows of a subset, else the name."""


class DataLowering:
    """Lowers data entries on demand; problems are collected."""

    def __init__(self, study: Study, problems: Problems, add: Add) -> None:
        self.study = study
        self.problems = problems
        self.add = add
        self._entries: dict[str, Rows | None] = {}
        self._open: list[str] = []
        self._subsets: dict[tuple[Any, ...], Rows] = {}

    def check_all(self) -> None:
        """Lower every entry once, so that errors show also in those that no cell uses."""
        for name in self.study.spec.data:
            self.entry(name)

    def entry(self, name: str) -> Rows | None:
        """The artifact of a data entry or of `benchmark:NAME`; None after noting what is wrong."""
        if name not in self._entries:
            if name.startswith(BENCHMARK):
                self._entries[name] = self._benchmark(name.removeprefix(BENCHMARK))
            elif name in self._open:
                loop = " → ".join([*self._open, name])
                self.problems.add(
                    ("data", name),
                    f"data entries mix each other in a circle: {loop}",
                    "Remove one of them.",
                    key=True,
                )
                return None
            else:
                self._open.append(name)
                self._entries[name] = self._lower(name, self.study.spec.data[name])
                self._open.pop()
        return self._entries[name]

    def subset(self, name: str, rows: int | None, seed_shift: int, where: Any) -> Rows | None:
        """The first `rows` of an entry in its seeded order; all of them when None."""
        whole = self.entry(name)
        if whole is None or rows is None:
            return whole
        seed = self._seed_of(name) + seed_shift
        known = (whole.key, rows, seed)
        if known not in self._subsets:
            self._check_size(name, rows, whole, where)
            self._subsets[known] = self._cut(whole, rows, seed)
        return self._subsets[known]

    def _seed_of(self, name: str) -> int:
        return self.study.spec.data[name].seed if name in self.study.spec.data else 0

    def _check_size(self, name: str, rows: int, whole: Rows, where: Any) -> None:
        if whole.at_most is not None and rows > whole.at_most:
            what = f"{rows} rows are asked of {name!r}, which has {'at most ' if self._is_filtered(name) else ''}{whole.at_most}"
            self.problems.append(Problem(what, f"Ask for at most {whole.at_most} rows.", where))

    def _is_filtered(self, name: str) -> bool:
        return name in self.study.spec.data and bool(self.study.spec.data[name].filters)

    def _lower(self, name: str, entry: DataSpec) -> Rows | None:
        rows = self._source(name, entry.source) if entry.source is not None else self._mix(name, entry)
        if rows is None:
            return None
        if entry.filters:
            rows = self._filter(name, entry, rows)
        if rows is None or entry.rows is None:
            return rows
        where = self.problems.document.locate(("data", name, "rows"))
        self._check_size(name, entry.rows, rows, where)
        return self._cut(rows, entry.rows, entry.seed)

    def _cut(self, whole: Rows, rows: int, seed: int) -> Rows:
        """The artifact of the first `rows` rows in the seeded order."""
        name = f"{whole.name}-{rows}"
        config = stages.load("subset").Config(rows=rows, seed=seed)
        key = self.add("subset", config, 0, {"rows": (whole.key,)}, f"{rows} rows of {whole.name}", name)
        return Rows(key, rows, name, str(rows))

    def _source(self, name: str, source: SourceSpec) -> Rows | None:
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
        return self._add_source(values, source.local, path, rows, slug)

    def _add_source(
        self, values: dict[str, Any], local: str | None, path: tuple, rows: int | None, slug: str
    ) -> Rows | None:
        if local is not None:
            values["local"] = local
        settings = Settings(
            values, {key: (*path, "fields" if key == "fields" else key) for key in values}, path
        )
        config = validate_settings(
            stages.load("source").Config, values, settings, self.problems, label=".".join(path)
        )
        if config is None:
            return None
        return Rows(self.add("source", config, 0, {}, f"source {slug}", slug), rows, slug, slug)

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

    def _benchmark(self, name: str) -> Rows | None:
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
        config = stages.load("source").from_catalogue(
            "dataset" if kind == "data set" else "benchmark",
            name,
            config=source.config,
            revision=self.study.lock.revision("datasets", hub) if hub else None,
            local=source.local,
            fields=fields,
        )
        return Rows(self.add("source", config, 0, {}, f"source {name}", name), origin.rows, name, name)

    def _fields(self, source: SourceSpec, path: tuple) -> Any:
        """The field map that a source gives itself, validated where it stands."""
        if source.fields is None:
            return None
        place = (*path, "fields")
        settings = Settings(source.fields, {key: (*place, key) for key in source.fields}, place)
        return validate_settings(datasets.FieldMap, source.fields, settings, self.problems, label="fields")

    def _mix(self, name: str, entry: DataSpec) -> Rows | None:
        parts, total = [], 0
        for i, part in enumerate(entry.mix):
            if part.data not in self.study.spec.data:
                if f"data.{part.data}" not in self.study.broken:
                    remedy = suggest(part.data, self.study.spec.data)
                    self.problems.add(
                        ("data", name, "mix", i, "data"), f"data {part.data!r} is unknown", remedy
                    )
                return None
            rows = self.entry(part.data)
            if rows is None:
                return None
            where = self.problems.document.locate(("data", name, "mix", i, "rows"))
            if part.rows is not None:
                self._check_size(part.data, part.rows, rows, where)
            size = part.rows if part.rows is not None else rows.at_most
            total = None if size is None or total is None else total + size
            parts.append(rows.key)
        config = stages.load("mix").Config(quotas=tuple(part.rows for part in entry.mix), seed=entry.seed)
        return Rows(
            self.add("mix", config, 0, {"rows": tuple(parts)}, f"mix {name}", f"mix-{name}"),
            total,
            name,
            name,
        )

    def _filter(self, name: str, entry: DataSpec, rows: Rows) -> Rows | None:
        document = self.problems.document
        steps, against, is_fine = [], [], True
        folders: dict[str, str] = {}
        for i, raw in enumerate(entry.filters):
            filter_name, params = (
                (raw, {}) if isinstance(raw, str) else (next(iter(raw), ""), next(iter(raw.values()), None))
            )
            if isinstance(raw, dict) and len(raw) != 1:
                document_path = ("data", name, "filters", i)
                self.problems.add(
                    document_path,
                    "a filter is one name with its parameters",
                    "Write one list item per filter.",
                )
                is_fine = False
                continue
            options = (
                filters.read_short_form(filter_name, params)
                if filter_name in filters.names()
                else params or {}
            )
            path = (
                ("data", name, "filters", i)
                if isinstance(raw, str)
                else ("data", name, "filters", i, filter_name)
            )
            locate = lambda below, key, path=path: document.locate((*path, *below), key=key)
            settled = validate_entry(filters, "filter", filter_name, options, (), locate, self.problems)
            if settled is None:
                is_fine = False
                continue
            keys = self._against(name, settled, (*path, "against"))
            is_fine = is_fine and keys is not None
            against += keys or []
            settled = self._pin_tokenizer(settled, (*path, "tokenizer"), folders)
            steps.append({"name": filter_name, "params": settled.identity()})
        if not is_fine:
            return None
        config = stages.load("filter").Config.model_validate(
            {"filters": tuple(steps), "seed": entry.seed, "folders": folders}
        )
        inputs: Mapping[str, tuple[str, ...]] = {
            "rows": (rows.key,),
            **({"against": tuple(dict.fromkeys(against))} if against else {}),
        }
        key = self.add("filter", config, 0, inputs, f"filter {name}", f"{rows.name}-filtered")
        return Rows(key, rows.at_most, f"{rows.name}-filtered", rows.name)

    def _pin_tokenizer(self, params: Config, path: tuple, folders: dict[str, str]) -> Config:
        """The parameters with their tokenizer's commit, or with its digest where it is a folder."""
        name = getattr(params, "tokenizer", None)
        if name is None or params.revision is not None:
            return params
        if not is_local(name):
            return params.model_copy(update={"revision": self.study.lock.revision("models", name)})
        digest = folder_digest(name, self.problems, self.problems.document.locate(path))
        folders[digest] = name
        return params.model_copy(update={"tokenizer": f"{BY_DIGEST}{digest}"})

    def _against(self, name: str, params: Config, path: tuple) -> list[str] | None:
        """The dataset keys of a filter's `against`: benchmarks or data entries by name."""
        wanted = getattr(params, "against", ())
        keys = []
        for i, other in enumerate(wanted):
            if other in self.study.spec.data:
                rows = self.entry(other)
            elif other in benchmarks.names():
                rows = self.entry(f"{BENCHMARK}{other}")
            else:
                known = [*benchmarks.names(), *self.study.spec.data]
                self.problems.add(
                    (*path, i), f"{other!r} is neither a benchmark nor a data entry", suggest(other, known)
                )
                return None
            if rows is None:
                return None
            keys.append(rows.key)
        return keys


def is_local(name: str) -> bool:
    """Whether a tokenizer's name is a path: written as one, or the name of a folder here."""
    return name.startswith(("/", "./", "../", "~")) or Path(name).expanduser().is_dir()


def hub_names(config: Config) -> Iterator[tuple[str, str, str | None]]:
    """(kind, name, commit) of what a source, base or filter configuration takes from the hub."""
    hub = getattr(config, "hub", None)
    if hub is not None:
        yield ("models" if "tiny" in type(config).model_fields else "datasets", hub.name, hub.revision)
    for step in getattr(config, "filters", ()):
        name = step.params.get("tokenizer")
        if name is not None and not name.startswith(BY_DIGEST):
            yield ("models", name, step.params.get("revision"))


def unpinned_names(config: Config) -> list[tuple[str, str]]:
    """(kind, name) of the hub names that a configuration leaves unpinned."""
    return [(kind, name) for kind, name, commit in hub_names(config) if commit in (None, UNPINNED)]
