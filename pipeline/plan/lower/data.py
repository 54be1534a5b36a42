"""A study's data entries → source, mix, filter and subset artifacts, each distinct one once.

Entries that a policy of the study makes or chooses (plan/made.py) are lowered for whoever asks (`at`: a cell and
its seed); all others once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pipeline import benchmarks, filters
from pipeline.errors import Problem, shown, suggest
from pipeline.filters.max_tokens import BY_DIGEST
from pipeline.fingerprint import Config
from pipeline.locate import PathTuple
from pipeline.plan.digests import folder_digest
from pipeline.plan.lower.judges import Judges
from pipeline.plan.lower.made import MODEL_FILTERS, MadeLowering, referenced, rows_of
from pipeline.plan.lower.policies import At, Policies
from pipeline.plan.lower.recipes import validate_entry
from pipeline.plan.lower.sources import Add, Rows, SourceLowering, is_local
from pipeline.spec.base import HUB_PATTERN
from pipeline.spec.levels import Problems
from pipeline.spec.models import DataSpec
from pipeline.spec.study import Study
from pipeline.stages.filter import FilterConfig
from pipeline.stages.mix import MixConfig
from pipeline.stages.subset import SubsetConfig

BENCHMARK = "benchmark:"

MIXTURE_SHIFT = 10_000_019
"""Distance between the seeds of choices before and after a mixture: with the same order, a subset of a mixture would
take most rows from the part that gave the smallest share of its own."""


@dataclass
class _Steps:
    """Filters in a row that need no model, what they compare with, and where their tokenizers come from."""

    plain: list[dict[str, Any]] = field(default_factory=list)
    policies: dict[str, PathTuple] = field(default_factory=dict)
    """Policies of the study with whose tokenizer a filter counts, and where each is named."""
    against: list[str] = field(default_factory=list)
    folders: dict[str, str] = field(default_factory=dict)


class DataLowering:
    """Lowers data entries on demand; problems are collected."""

    def __init__(
        self, study: Study, problems: Problems, add: Add, policies: Policies, judges: Judges
    ) -> None:
        self.study = study
        self.problems = problems
        self.add = add
        self.policies = policies
        self.sources = SourceLowering(study, problems, add)
        self.made = MadeLowering(study, problems, add, policies, judges, self.entry)
        self._entries: dict[tuple[str, At | None], Rows | None] = {}
        self._open: list[str] = []
        self._subsets: dict[tuple[Any, ...], Rows] = {}
        self._is_own: dict[str, bool] = {}
        self._mixtures: dict[str, int] = {}

    def check_all(self, at: At | None) -> None:
        """Lower every entry once, so that errors show also in those that no cell uses."""
        for name in self.study.spec.data:
            self.entry(name, at)

    def is_own(self, name: str) -> bool:
        """Whether an entry needs a policy of the study, so that it depends on the cell that asks."""
        if name not in self._is_own:
            self._is_own[name] = False  # a circle is noted where it is lowered
            entry = self.study.spec.data.get(name)
            data, policies = referenced(entry) if entry is not None else ([], [])
            self._is_own[name] = any(self.policies.is_own(policy) for policy in policies) or any(
                self.is_own(other) for other in data
            )
        return self._is_own[name]

    def entry(self, name: str, at: At | None = None) -> Rows | None:
        """The artifact of a data entry or of `benchmark:NAME`; None after noting what is wrong."""
        if name.startswith(BENCHMARK):
            if (name, None) not in self._entries:
                self._entries[(name, None)] = self.sources.benchmark(name.removeprefix(BENCHMARK))
            return self._entries[(name, None)]
        asked = (name, at if self.is_own(name) else None)
        if asked not in self._entries:
            if name in self._open:
                loop = " → ".join([*self._open, name])
                what = f"data entries need each other in a circle: {loop}"
                self.problems.add(("data", name), what, "Remove one of them.", key=True)
                return None
            self._open.append(name)
            self._entries[asked] = self._lower(name, self.study.spec.data[name], asked[1])
            self._open.pop()
        return self._entries[asked]

    def subset(
        self, name: str, rows: int | None, seed_shift: int, where: Any, at: At | None = None
    ) -> Rows | None:
        """The first `rows` of an entry in its seeded order; all of them when None."""
        whole = self.entry(name, at)
        if whole is None or rows is None:
            return whole
        seed = self._seed_of(name) + seed_shift
        known = (whole.key, rows, seed)
        if known not in self._subsets:
            self._check_size(name, rows, whole, where)
            self._subsets[known] = self._cut(name, whole, rows, seed)
        return self._subsets[known]

    def _seed_of(self, name: str) -> int:
        """The seed of what is chosen from an entry's rows."""
        if name not in self.study.spec.data:
            return 0
        return self.study.spec.data[name].seed + MIXTURE_SHIFT * self._count_mixtures(name)

    def _count_mixtures(self, name: str) -> int:
        """How many mixtures an entry's rows have come through, one after the other."""
        if name not in self._mixtures:
            self._mixtures[name] = 0  # a circle is noted where it is lowered
            entry = self.study.spec.data.get(name)
            below = [self._count_mixtures(other) for other in rows_of(entry)] if entry is not None else []
            self._mixtures[name] = max(below, default=0) + (entry is not None and entry.mix is not None)
        return self._mixtures[name]

    def _check_size(self, name: str, rows: int, whole: Rows, where: Any) -> None:
        if whole.at_most is not None and rows > whole.at_most:
            what = f"{rows} rows are asked of {name!r}, which has {'at most ' if self._is_filtered(name) else ''}{whole.at_most}"
            self.problems.append(Problem(what, f"Ask for at most {whole.at_most} rows.", where))

    def _is_filtered(self, name: str) -> bool:
        return name in self.study.spec.data and bool(self.study.spec.data[name].filters)

    def _lower(self, name: str, entry: DataSpec, at: At | None) -> Rows | None:
        if entry.source is not None:
            rows = self.sources.source(name, entry.source)
        elif entry.mix is not None:
            rows = self._mix(name, entry, at)
        else:
            made = self.made.lower(name, entry, at)
            rows = None if made is None else Rows(*made, name)
        if rows is None:
            return None
        if entry.filters:
            rows = self._filter(name, entry, rows, at)
        if rows is None or entry.rows is None:
            return rows
        where = self.problems.document.locate(("data", name, "rows"))
        self._check_size(name, entry.rows, rows, where)
        return self._cut(name, rows, entry.rows, self._seed_of(name))

    def _cut(self, entry: str, whole: Rows, rows: int, seed: int) -> Rows:
        """The artifact of the first `rows` rows of an entry in the seeded order."""
        name, of = f"{whole.name}-{rows}", entry.removeprefix(BENCHMARK)
        config = SubsetConfig(rows=rows, seed=seed)
        key = self.add("subset", config, 0, {"rows": (whole.key,)}, f"{rows} rows of {of}", name)
        return Rows(key, rows, name, str(rows))

    def _mix(self, name: str, entry: DataSpec, at: At | None) -> Rows | None:
        parts, total = [], 0
        for i, part in enumerate(entry.mix):
            if part.data not in self.study.spec.data:
                if not self.problems.is_broken("data", part.data):
                    remedy = suggest(part.data, self.study.spec.data)
                    self.problems.add(
                        ("data", name, "mix", i, "data"), f"data {part.data!r} is unknown", remedy
                    )
                return None
            rows = self.entry(part.data, at)
            if rows is None:
                return None
            where = self.problems.document.locate(("data", name, "mix", i, "rows"))
            if part.rows is not None:
                self._check_size(part.data, part.rows, rows, where)
            size = part.rows if part.rows is not None else rows.at_most
            total = None if size is None or total is None else total + size
            parts.append(rows.key)
        seed = self._seed_of(name) - MIXTURE_SHIFT  # this mixture's own choices come before it
        config = MixConfig(quotas=tuple(part.rows for part in entry.mix), seed=seed)
        return Rows(
            self.add("mix", config, 0, {"rows": tuple(parts)}, f"mix {name}", f"mix-{name}"),
            total,
            name,
            name,
        )

    def _filter(self, name: str, entry: DataSpec, rows: Rows, at: At | None) -> Rows | None:
        """The rows that all filters keep: one artifact per run of plain filters, others for those with a model."""
        steps = _Steps()
        is_fine = True
        kept: Rows | None = rows
        for i, raw in enumerate(entry.filters):
            if isinstance(raw, dict) and len(raw) != 1:
                what = "a filter is one name with its parameters"
                self.problems.add(("data", name, "filters", i), what, "Write one list item per filter.")
                is_fine = False
                continue
            filter_name, params = (raw, {}) if isinstance(raw, str) else next(iter(raw.items()))
            path = ("data", name, "filters", i, *(() if isinstance(raw, str) else (filter_name,)))
            if filter_name in MODEL_FILTERS:
                kept = self._flush(name, entry, kept, steps, at)
                if kept is not None:
                    kept = self.made.filter(filter_name, params, path, name, kept, at)
                steps, is_fine = _Steps(), is_fine and kept is not None
                kept = kept or rows
                continue
            params, counter = self._take_policy(filter_name, params, path)
            if counter is not None:
                steps.policies.setdefault(counter, (*path, "policy"))
            settled, keys = self._step(name, filter_name, params, path, at)
            is_fine = is_fine and settled is not None and keys is not None
            if keys and steps.against:  # each compares with its own: one artifact has one set to compare with
                kept, steps = self._flush(name, entry, kept, steps, at), _Steps()
                is_fine, kept = is_fine and kept is not None, kept or rows
            steps.against += keys or []
            if settled is not None:
                settled = self._pin_tokenizer(settled, (*path, "tokenizer"), steps.folders)
                steps.plain.append({"name": filter_name, "params": settled.identity()})
        return self._flush(name, entry, kept, steps, at) if is_fine else None

    def _take_policy(self, filter_name: str, params: Any, path: PathTuple) -> tuple[Any, str | None]:
        """A filter's parameters without the word `policy`, and that policy, for filters that have a tokenizer."""
        if not isinstance(params, Mapping) or not isinstance(params.get("policy"), str):
            return params, None
        has_tokenizer = (
            filter_name in filters.names() and "tokenizer" in filters.params_model(filter_name).model_fields
        )
        if not has_tokenizer:
            return params, None  # noted as an unknown key
        if "tokenizer" in params:
            what = f"filter {filter_name!r} has both tokenizer and policy"
            self.problems.add((*path, "policy"), what, "Keep one of them.", key=True)
            return {key: value for key, value in params.items() if key != "policy"}, None
        return {key: value for key, value in params.items() if key != "policy"}, params["policy"]

    def _flush(
        self, name: str, entry: DataSpec, rows: Rows | None, steps: _Steps, at: At | None
    ) -> Rows | None:
        """The artifact of the filters collected so far; the rows as they are without any."""
        if rows is None or not steps.plain:
            return rows
        if len(steps.policies) > 1:
            path = list(steps.policies.values())[1]
            self.problems.add(path, "filters in a row count with two policies", "Name one and the same.")
            return None
        counters = [self.policies.key(policy, path, at) for policy, path in steps.policies.items()]
        if None in counters:
            return None
        config = FilterConfig.model_validate(
            {"filters": tuple(steps.plain), "seed": self._seed_of(name), "folders": steps.folders}
        )
        inputs: Mapping[str, tuple[str, ...]] = {
            "rows": (rows.key,),
            **({"against": tuple(dict.fromkeys(steps.against))} if steps.against else {}),
            **({"policy": tuple(counters)} if counters else {}),
        }
        slug = rows.name if rows.name.endswith("-filtered") else f"{rows.name}-filtered"
        key = self.add("filter", config, 0, inputs, f"filter {name}", slug)
        return Rows(key, rows.at_most, slug, rows.label)

    def _step(
        self, name: str, filter_name: str, params: Any, path: tuple, at: At | None
    ) -> tuple[Config | None, list[str] | None]:
        """A catalogue filter's validated parameters and the data sets that it compares with."""
        is_short = params is not None and not isinstance(params, Mapping) and filter_name in filters.names()
        if is_short and getattr(filters.get(filter_name), "MAIN", None) is None:
            what = f"filter {filter_name!r} is {shown(params)}"
            self.problems.add(path, what, "Write its parameters as a mapping.")
            return None, []
        options = (
            filters.read_short_form(filter_name, params) if filter_name in filters.names() else params or {}
        )
        locate = lambda below, key: self.problems.document.locate((*path, *below), key=key)
        settled = validate_entry(
            filters, "filter", filter_name, options, (), locate, self.problems, also_known=MODEL_FILTERS
        )
        if settled is None:
            return None, []
        return settled, self._against(name, settled, (*path, "against"), at)

    def _pin_tokenizer(self, params: Config, path: tuple, folders: dict[str, str]) -> Config:
        """The parameters with their tokenizer's commit, or with its digest where it is a folder."""
        name = getattr(params, "tokenizer", None)
        if name is None or params.revision is not None:
            return params
        if not is_local(name):
            if not HUB_PATTERN.fullmatch(name):
                what = f"tokenizer {name!r} is no name of the hub, nor a folder here"
                self.problems.add(path, what, "Write OWNER/NAME, or a path.")
            return params.model_copy(update={"revision": self.study.lock.revision("models", name)})
        digest = folder_digest(name, self.problems, self.problems.document.locate(path))
        folders[digest] = name
        return params.model_copy(update={"tokenizer": f"{BY_DIGEST}{digest}"})

    def _against(self, name: str, params: Config, path: tuple, at: At | None) -> list[str] | None:
        """The dataset keys of a filter's `against`: benchmarks or data entries by name."""
        wanted = getattr(params, "against", ())
        keys = []
        for i, other in enumerate(wanted):
            if other in self.study.spec.data:
                rows = self.entry(other, at)
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
