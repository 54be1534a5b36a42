"""The words of one mapping, shared out between the configurations of several stages.

An entry or a filter that needs a model is written as one mapping, though several stages make it. The words that
name other things (a policy, rows, a judge) stay apart; each of the rest belongs to every stage whose
configuration has a field of that name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from pipeline import stages
from pipeline.errors import Problem, suggest
from pipeline.fingerprint import Config
from pipeline.locate import PathTuple
from pipeline.plan.lower.answers import Words
from pipeline.plan.lower.demands import ModelConfigs, ModelWords
from pipeline.plan.lower.resolver import Resolver
from pipeline.spec.levels import Settings, inherit, validate_settings
from pipeline.spec.models import MADE, SET_BY_ENTRY


class _Kind(NamedTuple):
    """What a kind of entry or filter knows beside the fields of its stages."""

    names: tuple[str, ...]
    """Words that name other things."""
    also: tuple[str, ...] = ()
    """More of them, which no error suggests."""
    renamed: tuple[str, str] | None = None
    """A word, and the field that it is meant for."""


_KINDS = {
    "sampled": _Kind(("problems", "policy")),
    "rejection": _Kind(("problems", "policy"), also=("match_budget_of",)),
    "dialogue": _Kind(("problems", "policy")),
    "compressed": _Kind(("data", "compressor"), also=("policy",)),
    "solved_by": _Kind(("policy",)),
    "judged": _Kind(("by",), renamed=("keep", "labels")),
}
_STAGES = {**MADE, "solved_by": ("sample", "select"), "judged": ("select",)}


def read_words(resolver: Resolver, demand: ModelWords) -> Words:
    """The rule of `ModelWords`: the mapping with its inheritance resolved."""
    entry = resolver.study.spec.data[demand.entry]
    label = f"data {demand.entry!r}"
    place: PathTuple = ("data", demand.entry, demand.kind)
    raw: Mapping[str, Any] = entry.words
    if demand.filter is not None:
        given, label = entry.filters[demand.filter], f"{label}: {demand.kind}"
        place = ("data", demand.entry, "filters", demand.filter)
        raw, place = ({}, place) if isinstance(given, str) else (given[demand.kind], (*place, demand.kind))
    settings = inherit(raw, place, resolver.study.spec.recipes, resolver.problems)
    return Words(label, settings, entry.seed)


def share_words(resolver: Resolver, demand: ModelConfigs) -> tuple[Config, ...] | None:
    """The rule of `ModelConfigs`, one for each stage; None after noting every word that none of them knows, or that
    does not fit."""
    kind, words = _KINDS[demand.words.kind], resolver.get(demand.words)
    if words is None:
        return None
    settings = _rest(words.settings, kind)
    models = [stages.load(stage).config for stage in _STAGES[demand.words.kind]]
    fields = {name for model in models for name in model.model_fields} - set(SET_BY_ENTRY)
    known = (*kind.names, *(kind.renamed[:1] if kind.renamed else ()), "inherits")
    unknown = [word for word in settings.values if word not in fields]
    locate = settings.locator(resolver.problems.document)
    for word in unknown:
        remedy = suggest(word, sorted([*fields, *known]))
        what = f"{words.label}: unknown key {word!r}"
        resolver.problems.extend([Problem(what, remedy, locate((word,), True))])
    spec = resolver.study.spec
    given = {"prompt": spec.prompt, **settings.values, "score": spec.score, "seed": words.seed}
    found: list[Config] = []
    for model in models:
        own = {word: value for word, value in given.items() if word in model.model_fields}
        also = (*known, *(fields - set(model.model_fields)))
        config = validate_settings(
            model, own, settings, resolver.problems, label=words.label, also_known=also
        )
        found += [config] if config is not None else []
    return tuple(found) if not unknown and len(found) == len(models) else None


def _rest(settings: Settings, kind: _Kind) -> Settings:
    """The settings without the words that name other things, each word called by its field's name."""
    values = {word: value for word, value in settings.values.items() if word not in (*kind.names, *kind.also)}
    if kind.renamed is None:
        return replace(settings, values=values)
    word, name = kind.renamed
    values[name] = values.pop(word)
    return replace(settings, values=values, origins={**settings.origins, name: settings.origins[word]})
