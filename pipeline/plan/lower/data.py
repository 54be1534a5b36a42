"""A study's data entries → source, mix, filter and subset artifacts, each distinct one once.

Entries that a policy of the study makes or chooses (made.py) are lowered for whoever asks (`at`: a cell and
its seed); all others once.
"""

from __future__ import annotations

from collections.abc import Sequence

from pipeline import stages
from pipeline.errors import suggest
from pipeline.plan.lower.answers import Rows
from pipeline.plan.lower.demands import At, DataEntry, FirstRows, Subset
from pipeline.plan.lower.filtering import filter_rows
from pipeline.plan.lower.made import make_rows
from pipeline.plan.lower.resolver import Resolver
from pipeline.plan.lower.rows import BENCHMARK, MIXTURE_SHIFT, all_rows, check_size, choice_seed
from pipeline.plan.lower.sources import lower_source
from pipeline.spec.models import MixPart


def lower_entry(resolver: Resolver, demand: DataEntry) -> Rows | None:
    """The rule of `DataEntry`: where the rows come from, then the filters, then the cut."""
    name, at = demand.name, demand.at
    entry = resolver.study.spec.data[name]
    if entry.source is not None:
        rows = lower_source(resolver, name, entry.source)
    elif entry.mix is not None:
        rows = _mix(resolver, name, entry.mix, at)
    else:
        rows = make_rows(resolver, name, at)
    if rows is not None and entry.filters:
        rows = filter_rows(resolver, name, entry.filters, rows, at)
    if rows is None or entry.rows is None:
        return rows
    check_size(resolver, name, entry.rows, rows, resolver.problems.document.locate(("data", name, "rows")))
    return _cut(resolver, name, rows, entry.rows, choice_seed(resolver, name))


def lower_first_rows(resolver: Resolver, demand: FirstRows) -> Rows | None:
    """The rule of `FirstRows`; the same rows of one artifact are cut once, whatever they are asked for as."""
    name, rows = demand.name, demand.rows
    whole = all_rows(resolver, name, demand.at)
    if whole is None or rows is None:
        return whole
    seed = choice_seed(resolver, name) + demand.shift
    return resolver.get(Subset(whole.key, rows, seed, whole, name, demand.where))


def lower_subset(resolver: Resolver, demand: Subset) -> Rows:
    """The rule of `Subset`; asking for more than there is is noted where it is asked first."""
    check_size(resolver, demand.name, demand.rows, demand.of, demand.where)
    return _cut(resolver, demand.name, demand.of, demand.rows, demand.seed)


def _cut(resolver: Resolver, entry: str, whole: Rows, rows: int, seed: int) -> Rows:
    """The artifact of the first `rows` rows of an entry in the seeded order."""
    name, of = f"{whole.name}-{rows}", entry.removeprefix(BENCHMARK)
    config = stages.load("subset").config(rows=rows, seed=seed)
    key = resolver.datasets.add("subset", config, 0, {"rows": (whole.key,)}, f"{rows} rows of {of}", name)
    return Rows(key, rows, name, str(rows))


def _mix(resolver: Resolver, name: str, mixed: Sequence[MixPart], at: At | None) -> Rows | None:
    parts: list[str] = []
    sizes: list[int | None] = []
    for i, part in enumerate(mixed):
        path = ("data", name, "mix", i)
        if part.data not in resolver.study.spec.data:
            if not resolver.problems.is_broken("data", part.data):
                remedy = suggest(part.data, resolver.study.spec.data)
                resolver.problems.add((*path, "data"), f"data {part.data!r} is unknown", remedy)
            return None
        rows = all_rows(resolver, part.data, at)
        if rows is None:
            return None
        if part.rows is not None:
            where = resolver.problems.document.locate((*path, "rows"))
            check_size(resolver, part.data, part.rows, rows, where)
        sizes.append(part.rows if part.rows is not None else rows.at_most)
        parts.append(rows.key)
    known = [size for size in sizes if size is not None]
    seed = choice_seed(resolver, name) - MIXTURE_SHIFT  # this mixture's own choices come before it
    config = stages.load("mix").config(quotas=tuple(part.rows for part in mixed), seed=seed)
    key = resolver.datasets.add("mix", config, 0, {"rows": tuple(parts)}, f"mix {name}", f"mix-{name}")
    return Rows(key, sum(known) if len(known) == len(sizes) else None, name, name)
