"""What the data entries of a study are, as they stand in the file: nothing is lowered for it, nothing noted."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from pipeline.spec.models import DataSpec
from pipeline.spec.study import Study

ROWS_WORDS = {"compressed": "data"}
"""The word for the rows that an entry is made of, by the kind of entry; `problems` for the others."""


class EntryFacts:
    """Facts about the data entries and policies of one study."""

    def __init__(self, study: Study) -> None:
        self._spec = study.spec

    def is_own_policy(self, name: str) -> bool:
        """Whether a policy is one of the study's own, so that it depends on the cell that asks."""
        given = self._spec.policies.get(name)
        return isinstance(given, Mapping) and "of" in given

    def is_own(self, name: str) -> bool:
        """Whether an entry needs a policy of the study, so that it depends on the cell that asks."""
        return name in self._own

    @cached_property
    def _own(self) -> frozenset[str]:
        named = {name: referenced(entry) for name, entry in self._spec.data.items()}
        own = {name for name, (_, policies) in named.items() if any(map(self.is_own_policy, policies))}
        while more := {name for name, (data, _) in named.items() if name not in own and own & set(data)}:
            own |= more
        return frozenset(own)

    def count_mixtures(self, name: str) -> int:
        """How many mixtures an entry's rows have come through, one after the other."""
        return self._mixtures.get(name, 0)

    @cached_property
    def _mixtures(self) -> Mapping[str, int]:
        counted: dict[str, int] = {}

        def count(name: str) -> int:
            if name not in counted:
                counted[name] = 0  # a circle is noted where it is lowered
                entry = self._spec.data.get(name)
                below = [count(other) for other in rows_of(entry)] if entry is not None else []
                counted[name] = max(below, default=0) + (entry is not None and entry.mix is not None)
            return counted[name]

        for name in self._spec.data:
            count(name)
        return counted


def referenced(entry: DataSpec) -> tuple[list[str], list[str]]:
    """Names that an entry refers to: data entries, policies."""
    data: list[Any] = [*rows_of(entry)]
    policies: list[Any] = []
    kind, words = entry.made_by, entry.words
    if kind is not None:
        data.append(words.get("match_budget_of"))
        policies += [words.get("policy"), words.get("compressor")]
    for raw in entry.filters:
        _name, given = (raw, None) if isinstance(raw, str) else next(iter(raw.items()), ("", None))
        if isinstance(given, Mapping):
            policies.append(given.get("policy"))
            against = given.get("against")
            data += against if isinstance(against, tuple) else ()
    return _texts(data), _texts(policies)


def rows_of(entry: DataSpec) -> list[str]:
    """Names of the data entries whose rows an entry's are."""
    kind = entry.made_by
    made_of = [] if kind is None else [entry.words.get(ROWS_WORDS.get(kind, "problems"))]
    return _texts([*(part.data for part in entry.mix or ()), *made_of])


def _texts(names: list[Any]) -> list[str]:
    return [name for name in names if isinstance(name, str)]
