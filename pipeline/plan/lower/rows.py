"""Asking for rows: of a data entry or a benchmark, all of them or the first of their seeded order."""

from __future__ import annotations

from dataclasses import replace

from pipeline.errors import Location, Problem
from pipeline.plan.lower.answers import Rows
from pipeline.plan.lower.demands import At, Benchmark, DataEntry, FirstRows
from pipeline.plan.lower.resolver import Resolver

BENCHMARK = "benchmark:"

MIXTURE_SHIFT = 10_000_019
"""Distance between the seeds of choices before and after a mixture: with the same order, a subset of a mixture would
take most rows from the part that gave the smallest share of its own."""


def all_rows(resolver: Resolver, name: str, at: At | None = None) -> Rows | None:
    """The rows of a data entry or of `benchmark:NAME`, for whoever asks; None after noting what is wrong."""
    if name.startswith(BENCHMARK):
        return resolver.get(Benchmark(name.removeprefix(BENCHMARK)))
    return resolver.get(DataEntry(name, at if resolver.facts.is_own(name) else None))


def rows_for(resolver: Resolver, asked: FirstRows, at: At, shift: int = 0) -> Rows | None:
    """The rows that are asked for, made for whoever asks where that makes a difference."""
    own = at if resolver.facts.is_own(asked.name) else None
    if own is not None or shift:
        asked = replace(asked, shift=shift, at=own)
    return resolver.get(asked)


def choice_seed(resolver: Resolver, name: str) -> int:
    """The seed of what is chosen from an entry's rows."""
    entry = resolver.study.spec.data.get(name)
    return 0 if entry is None else entry.seed + MIXTURE_SHIFT * resolver.facts.count_mixtures(name)


def check_size(resolver: Resolver, name: str, rows: int, whole: Rows, where: Location) -> None:
    """Note that more rows are asked of an entry than it can have."""
    if whole.at_most is None or rows <= whole.at_most:
        return
    entry = resolver.study.spec.data.get(name)
    limit = "at most " if entry is not None and entry.filters else ""
    what = f"{rows} rows are asked of {name!r}, which has {limit}{whole.at_most}"
    resolver.problems.append(Problem(what, f"Ask for at most {whole.at_most} rows.", where))
