"""The words of one mapping, shared out between the configurations of several stages.

An entry or a filter that needs a model is written as one mapping, though several stages make it. The words that
name other things (a policy, rows, a judge) are taken out first; each of the rest belongs to every stage whose
configuration has a field of that name.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from pipeline import stages
from pipeline.errors import Problem, suggest
from pipeline.fingerprint import Config
from pipeline.locate import PathTuple
from pipeline.spec.levels import Problems, Settings, validate_settings
from pipeline.spec.models import SET_BY_ENTRY
from pipeline.spec.study import Study


class Words:
    """A mapping under way: what errors call it, its settings, its seed, what else it knows, and what is left of it."""

    def __init__(self, label: str, settings: Settings, seed: int, also_known: tuple[str, ...]) -> None:
        self.label = label
        self.settings = settings
        self.seed = seed
        self.also_known = also_known
        self.values = dict(settings.values)

    def take(self, word: str) -> tuple[Any, PathTuple]:
        """Take a word out: (its value or None, where it stands or else where the mapping does)."""
        return self.values.pop(word, None), self.settings.origins.get(word, self.settings.path)

    def rename(self, word: str, name: str) -> None:
        """Call a word by the name of the field that it is meant for; errors still point to where it stands."""
        if word in self.values:
            self.values[name], place = self.take(word)
            self.settings = replace(self.settings, origins={**self.settings.origins, name: place})


class WordSharing:
    """Makes configurations of words; one per place of the file, however many cells ask for it."""

    def __init__(self, study: Study, problems: Problems) -> None:
        self._common = {"prompt": study.spec.prompt, "score": study.spec.score}
        self._problems = problems
        self._known: dict[tuple[Any, ...], Config | None] = {}

    def configs(self, words: Words, names: Iterable[str]) -> tuple[Config, ...] | None:
        """A configuration for each stage; None after noting every word that none of them knows, or that does not fit."""
        models = [stages.load(stage).config for stage in names]
        fields = {name for model in models for name in model.model_fields} - set(SET_BY_ENTRY)
        unknown = [word for word in words.values if word not in fields]
        locate = words.settings.locator(self._problems.document)
        for word in unknown:
            remedy = suggest(word, sorted([*fields, *words.also_known]))
            what = f"{words.label}: unknown key {word!r}"
            self._problems.extend([Problem(what, remedy, locate((word,), True))])
        found = [self._config(model, words, fields) for model in models]
        return tuple(found) if not unknown and None not in found else None

    def _config(self, model: type[Config], words: Words, fields: set[str]) -> Config | None:
        known = (model, words.settings.path)
        if known not in self._known:
            given = {**self._common, **words.values, "score": self._common["score"], "seed": words.seed}
            own = {word: value for word, value in given.items() if word in model.model_fields}
            also = (*words.also_known, *(fields - set(model.model_fields)))
            self._known[known] = validate_settings(
                model, own, words.settings, self._problems, label=words.label, also_known=also
            )
        return self._known[known]
