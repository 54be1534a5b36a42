"""An entry's filters → filter artifacts, one per run of plain filters; filters with a model stand between them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pipeline import benchmarks, filters, stages
from pipeline.errors import shown, suggest
from pipeline.filters.max_tokens import BY_DIGEST
from pipeline.fingerprint import Config
from pipeline.locate import PathTuple
from pipeline.plan.digests import folder_digest
from pipeline.plan.lower.answers import Inputs, Rows
from pipeline.plan.lower.demands import At
from pipeline.plan.lower.entry import validate_entry
from pipeline.plan.lower.made import MODEL_FILTERS, choose_rows
from pipeline.plan.lower.policies import find_policy
from pipeline.plan.lower.resolver import Resolver
from pipeline.plan.lower.rows import BENCHMARK, all_rows, choice_seed
from pipeline.plan.lower.sources import is_local
from pipeline.spec.base import HUB_PATTERN
from pipeline.spec.problems import place_in


@dataclass
class _Steps:
    """Filters in a row that need no model, what they compare with, and where their tokenizers come from."""

    plain: list[dict[str, Any]] = field(default_factory=list)
    policies: dict[str, PathTuple] = field(default_factory=dict)
    """Policies of the study with whose tokenizer a filter counts, and where each is named."""
    against: list[str] = field(default_factory=list)
    folders: dict[str, str] = field(default_factory=dict)


def filter_rows(
    resolver: Resolver, name: str, wanted: Sequence[str | dict[str, Any]], rows: Rows, at: At | None
) -> Rows | None:
    """The rows that all filters of an entry keep; None after noting what is wrong with any of them."""
    filtering = _Filtering(resolver, name, rows, at)
    for index, raw in enumerate(wanted):
        filtering.apply(index, raw)
    return filtering.flush() if filtering.is_fine else None


class _Filtering:
    """The filters of one entry under way; after an error the next ones are checked against the unfiltered rows."""

    def __init__(self, resolver: Resolver, name: str, rows: Rows, at: At | None) -> None:
        self.resolver = resolver
        self.problems = resolver.problems
        self.name = name
        self.at = at
        self.is_fine = True
        self._unfiltered = rows
        self._kept = rows
        self._steps = _Steps()

    def apply(self, index: int, raw: str | dict[str, Any]) -> None:
        """Add the entry's next filter."""
        path: PathTuple = ("data", self.name, "filters", index)
        if isinstance(raw, dict) and len(raw) != 1:
            what = "a filter is one name with its parameters"
            self.problems.add(path, what, "Write one list item per filter.")
            self.is_fine = False
            return
        filter_name, params = (raw, {}) if isinstance(raw, str) else next(iter(raw.items()))
        path = path if isinstance(raw, str) else (*path, filter_name)
        if filter_name in MODEL_FILTERS:
            kept = self.flush()
            if kept is not None:
                kept = choose_rows(self.resolver, filter_name, params, path, self.name, index, kept, self.at)
            self._go_on(kept)
        else:
            self._apply_plain(filter_name, params, path)

    def _go_on(self, kept: Rows | None) -> None:
        """Begin a new run of filters on the rows that the last one kept."""
        self._steps = _Steps()
        self.is_fine = self.is_fine and kept is not None
        self._kept = kept or self._unfiltered

    def _apply_plain(self, filter_name: str, params: Any, path: PathTuple) -> None:
        params, counter = self._take_policy(filter_name, params, path)
        if counter is not None:
            self._steps.policies.setdefault(counter, (*path, "policy"))
        settled = self._validate(filter_name, params, path)
        if settled is None:
            self.is_fine = False
            return
        keys = self._against(settled, (*path, "against"))
        if (
            keys and self._steps.against
        ):  # each compares with its own: one artifact has one set to compare with
            self._go_on(self.flush())
        self.is_fine = self.is_fine and keys is not None
        self._steps.against += keys or []
        settled = self._pin_tokenizer(settled, (*path, "tokenizer"))
        self._steps.plain.append({"name": filter_name, "params": settled.identity()})

    def flush(self) -> Rows | None:
        """The artifact of the filters collected so far; the rows as they are without any."""
        rows, steps = self._kept, self._steps
        if not steps.plain:
            return rows
        if len(steps.policies) > 1:
            path = list(steps.policies.values())[1]
            self.problems.add(path, "filters in a row count with two policies", "Name one and the same.")
            return None
        inputs: Inputs = {"rows": (rows.key,)}
        if steps.against:
            inputs["against"] = tuple(dict.fromkeys(steps.against))
        for policy, path in steps.policies.items():
            counter = find_policy(self.resolver, policy, path, self.at)
            if counter is None:
                return None
            inputs["policy"] = (counter,)
        seed = choice_seed(self.resolver, self.name)
        config = stages.load("filter").config.model_validate(
            {"filters": tuple(steps.plain), "seed": seed, "folders": steps.folders}
        )
        slug = rows.name if rows.name.endswith("-filtered") else f"{rows.name}-filtered"
        key = self.resolver.datasets.add("filter", config, 0, inputs, f"filter {self.name}", slug)
        return Rows(key, rows.at_most, slug, rows.label)

    def _take_policy(self, filter_name: str, params: Any, path: PathTuple) -> tuple[Any, str | None]:
        """A filter's parameters without the word `policy`, and that policy, for filters that have a tokenizer."""
        if not isinstance(params, Mapping) or not isinstance(params.get("policy"), str):
            return params, None
        has_tokenizer = (
            filter_name in filters.names() and "tokenizer" in filters.params_model(filter_name).model_fields
        )
        if not has_tokenizer:
            return params, None  # noted as an unknown key
        rest = {key: value for key, value in params.items() if key != "policy"}
        if "tokenizer" in params:
            what = f"filter {filter_name!r} has both tokenizer and policy"
            self.problems.add((*path, "policy"), what, "Keep one of them.", key=True)
            return rest, None
        return rest, params["policy"]

    def _validate(self, filter_name: str, params: Any, path: PathTuple) -> Config | None:
        """A catalogue filter's validated parameters, its short form included."""
        options = params or {}
        if filter_name in filters.names():
            is_short = params is not None and not isinstance(params, Mapping)
            if is_short and getattr(filters.get(filter_name), "MAIN", None) is None:
                what = f"filter {filter_name!r} is {shown(params)}"
                self.problems.add(path, what, "Write its parameters as a mapping.")
                return None
            options = filters.read_short_form(filter_name, params)
        locate = place_in(self.problems.document, path)
        return validate_entry(
            filters, "filter", filter_name, options, (), locate, self.problems, also_known=MODEL_FILTERS
        )

    def _pin_tokenizer(self, params: Config, path: PathTuple) -> Config:
        """The parameters with their tokenizer's commit, or with its digest where it is a folder."""
        name = getattr(params, "tokenizer", None)
        if name is None or getattr(params, "revision", None) is not None:
            return params
        if not is_local(name):
            if not HUB_PATTERN.fullmatch(name):
                what = f"tokenizer {name!r} is no name of the hub, nor a folder here"
                self.problems.add(path, what, "Write OWNER/NAME, or a path.")
            revision = self.resolver.study.lock.revision("models", name)
            return params.model_copy(update={"revision": revision})
        digest = folder_digest(name, self.problems, self.problems.document.locate(path))
        self._steps.folders[digest] = name
        return params.model_copy(update={"tokenizer": f"{BY_DIGEST}{digest}"})

    def _against(self, params: Config, path: PathTuple) -> list[str] | None:
        """The dataset keys of a filter's `against`: benchmarks or data entries by name."""
        entries = self.resolver.study.spec.data
        keys: list[str] = []
        for i, other in enumerate(getattr(params, "against", ())):
            if other not in entries and other not in benchmarks.names():
                what = f"{other!r} is neither a benchmark nor a data entry"
                self.problems.add((*path, i), what, suggest(other, [*benchmarks.names(), *entries]))
                return None
            rows = all_rows(self.resolver, other if other in entries else f"{BENCHMARK}{other}", self.at)
            if rows is None:
                return None
            keys.append(rows.key)
        return keys
