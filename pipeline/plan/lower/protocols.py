"""A measure → its sampling protocol, and the benchmark or data entry whose problems it samples."""

from __future__ import annotations

from typing import Any

from pipeline import benchmarks, stages
from pipeline.errors import Location, shown, suggest
from pipeline.plan.lower.answers import Protocol
from pipeline.plan.lower.demands import ProtocolOf
from pipeline.plan.lower.only import ONLY, read_only
from pipeline.plan.lower.resolver import Resolver
from pipeline.plan.lower.rows import BENCHMARK
from pipeline.plan.lower.stage_words import note, note_unknown_data, read_rows
from pipeline.spec.levels import Settings, substitute, validate_settings

_WORDS = ("benchmark", "data", "rows", "only", "inherits")


def read_protocol(resolver: Resolver, demand: ProtocolOf) -> Protocol | None:
    """The rule of `ProtocolOf`."""
    study, problems = resolver.study, resolver.problems
    settings = study.measures[demand.measure]
    words = dict(substitute(settings.values, demand.references.values))
    label = f"measure {demand.measure!r}"
    named = {word: words.pop(word, None) for word in ("benchmark", "data")}
    place = settings.origins.get(ONLY, settings.path)
    only = read_only(words.pop(ONLY, None), place, study, problems)
    where = settings.locator(problems.document)(("rows",), False)
    rows = read_rows(problems, words.pop("rows", None), where, label)
    if only is None:
        return None
    data = _problems_of(resolver, demand.measure, named["benchmark"], named["data"], settings)
    if data is None:
        return None
    words.setdefault("prompt", study.spec.prompt)
    model = stages.load("sample").config
    config = validate_settings(model, words, settings, problems, label=label, also_known=_WORDS)
    return None if config is None else Protocol(config, data, rows, only)


def _problems_of(resolver: Resolver, name: str, benchmark: Any, data: Any, settings: Settings) -> str | None:
    """The data entry, or `benchmark:NAME`, that a measure samples; None after noting what is wrong."""
    entries, problems = resolver.study.spec.data, resolver.problems
    locate, label = settings.locator(problems.document), f"measure {name!r}"
    if benchmark is not None and data is not None:
        note(problems, locate(("data",), True), f"{label} has both benchmark and data", "Keep one.")
        return None
    if data is None and benchmark is None:
        if problems.is_broken("data", name):
            return None
        data, benchmark = (name, None) if name in entries else (None, name)
    if data is not None and (not isinstance(data, str) or data not in entries):
        note_unknown_data(resolver.study, problems, data, locate(("data",), False), label)
        return None
    if data is None and benchmark not in benchmarks.names():
        _note_unknown_benchmark(resolver, benchmark, locate(("benchmark",), False), label)
        return None
    return data if data is not None else f"{BENCHMARK}{benchmark}"


def _note_unknown_benchmark(resolver: Resolver, benchmark: Any, where: Location, label: str) -> None:
    entries = resolver.study.spec.data
    what = f"{label}: {shown(benchmark)} is neither a benchmark nor a data entry"
    remedy = suggest(benchmark, [*benchmarks.names(), *entries])
    if benchmark in list(entries):
        what, remedy = f"{label}: {benchmark!r} is a data entry, no benchmark", f"Write data: {benchmark}."
    note(resolver.problems, where, what, remedy)
