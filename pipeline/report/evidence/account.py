"""The account of a study: what is missing, what it cost, how the data flowed, and who made which artifact."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from pipeline import stages
from pipeline.report.evidence.results import Record, Store
from pipeline.report.evidence.sides import name_unit
from pipeline.request.page import Request
from pipeline.request.units import DataNode
from pipeline.store.paths import record_path

MOST_EXAMPLES = 3
"""Dropped rows that are named per reason."""


@dataclass(frozen=True)
class Missing:
    """An artifact that is not done, and what needs it."""

    stage: str
    key: str
    needed_by: tuple[str, ...]


@dataclass(frozen=True)
class StageCost:
    """Measured time of one stage."""

    stage: str
    artifacts: int
    seconds: float
    gpu_seconds: float


@dataclass(frozen=True)
class DataRow:
    """One data set of the flow: rows in and out, why rows were dropped with some of them; None where not done."""

    node: DataNode
    depth: int
    sources: tuple[str, ...]
    rows_in: int | None = None
    rows_out: int | None = None
    unit: str = "rows"
    dropped: Mapping[str, int] = field(default_factory=dict)
    examples: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    steps: tuple[tuple[str, int, int], ...] = ()
    """(filter, rows in, rows out), where the artifact has several steps."""
    notes: tuple[str, ...] = ()
    """What else a record counts: right answers, a judge's labels, rounds of tries, classes of dialogues."""


def list_keys(request: Request) -> dict[tuple[str, str], list[str]]:
    """(stage, key) of every artifact that the report is about → what needs it, in the request's order."""
    needed: dict[tuple[str, str], list[str]] = {}

    def note(stage: str, key: str, words: str) -> None:
        needed.setdefault((stage, key), []).append(words)

    for node in request.datasets:
        note(node.stage, node.key, f"data {node.name}")
    for run in request.runs:
        note(run.stage, run.key, f"{' · '.join(run.cell.values())}, replicate {run.replicate}")
    stages = {run.key: run.stage for run in request.runs}
    for unit in request.units:
        policy_stage = stages.get(unit.policy, "checkpoint" if unit.step is not None else "policy")
        note(policy_stage, unit.policy, name_unit(unit))
        note("sample", unit.completions, name_unit(unit))
        note("score", unit.scores, name_unit(unit))
        for name, key in unit.analyses.items():
            note(f"analysis {name}", key, name_unit(unit))
    return needed


def list_missing(request: Request, store: Store) -> tuple[list[Missing], int]:
    """The artifacts that are not done, and how many there are in all."""
    needed = list_keys(request)
    missing = [
        Missing(stage, key, tuple(dict.fromkeys(words)))
        for (stage, key), words in needed.items()
        if store.find(key) is None
    ]
    return missing, len({key for _, key in needed})


def add_costs(found: Iterable[Record]) -> list[StageCost]:
    """Measured seconds by stage, the most expensive first."""
    stages: dict[str, list[Record]] = {}
    for record in found:
        stages.setdefault(record.stage, []).append(record)
    costs = [
        StageCost(stage, len(group), sum(r.seconds for r in group), sum(r.gpu_seconds for r in group))
        for stage, group in stages.items()
    ]
    return sorted(costs, key=lambda cost: (-cost.seconds, cost.stage))


def trace_data(request: Request, store: Store) -> list[DataRow]:
    """The data sets with each source before what is made from it, and the counts that their records hold."""
    nodes = {node.key: node for node in request.datasets}
    depths: dict[str, int] = {}
    rows: list[DataRow] = []

    def visit(node: DataNode) -> int:
        if node.key not in depths:
            depths[node.key] = 0
            depths[node.key] = 1 + max((visit(nodes[key]) for key in node.inputs if key in nodes), default=-1)
            rows.append(_data_row(node, depths[node.key], nodes, store))
        return depths[node.key]

    for node in nodes.values():
        visit(node)
    return rows


def _data_row(node: DataNode, depth: int, nodes: Mapping[str, DataNode], store: Store) -> DataRow:
    sources = tuple(nodes[key].name if key in nodes else key for key in node.inputs)
    record = store.find(node.key)
    if record is None:
        return DataRow(node, depth, sources)
    counted = stages.load(node.stage).counted
    rows_in, rows_out = record.facts.get("rows_in"), record.facts.get(counted.fact)
    total = sum(rows_in) if isinstance(rows_in, list) else rows_in
    steps = [step for step in record.facts.get("filters") or () if isinstance(step, Mapping)]
    dropped: Counter[str] = Counter()
    examples: dict[str, tuple[str, ...]] = {}
    for facts in (record.facts, *steps):
        reasons = facts.get("dropped")
        dropped.update(reasons if isinstance(reasons, Mapping) else {})
        shown = facts.get("dropped_examples") or facts.get("examples")
        for reason, ids in (shown if isinstance(shown, Mapping) else {}).items():
            examples[reason] = (*examples.get(reason, ()), *map(str, ids))[:MOST_EXAMPLES]
    order = sorted(dropped.items(), key=lambda r: (-r[1], r[0]))
    return DataRow(
        node,
        depth,
        sources,
        total,
        rows_out,
        counted.unit,
        {str(reason): int(count) for reason, count in order if count},
        examples,
        tuple((str(s.get("filter", "")), s.get("rows_in", 0), s.get("rows_out", 0)) for s in steps),
        tuple(_describe_making(record.facts)),
    )


def _describe_making(facts: Mapping[str, Any]) -> Iterator[str]:
    """Grades, labels, rounds of rejection sampling (tried, solved, draws), classes of dialogues in words."""
    if "right" in facts:
        yield f"{facts['right']:,} right, {facts.get('unparsable', 0):,} without a readable answer"
    if facts.get("labels"):
        counts = sorted(facts["labels"].items(), key=lambda label: (-label[1], label[0]))
        unread = [f"unreadable {facts['unreadable']:,}"] if facts.get("unreadable") else []
        yield ", ".join([*(f"{label} {count:,}" for label, count in counts), *unread])
    for part in facts.get("rounds") or ():
        yield (
            f"round {part['round']}: {part['solved']:,} of {part['tried']:,} problems solved "
            f"in {part['draws']:,} draws"
        )
    before, after = (facts.get(f"classes_{when}") or {} for when in ("before", "after"))
    if before:
        changes = ", ".join(f"{name} {count:,} → {after.get(name, 0):,}" for name, count in before.items())
        yield f"dialogues by first and final answer (R right, W wrong), all → chosen: {changes}"


def link_record(record: Record, out_dir: Path) -> str:
    """The relative address of a record as seen from the report's folder."""
    return quote(Path(os.path.relpath(record_path(record.folder), out_dir)).as_posix())


def describe_environment(found: Sequence[Record]) -> list[tuple[str, str]]:
    """Code commits, packages, hosts and seeds over all artifacts; several of one kind are all named."""

    def distinct(values: Iterable[Any]) -> str:
        return ", ".join(sorted({str(v) for v in values if v not in (None, "")})) or "not recorded"

    packages: dict[str, set[str]] = {}
    for record in found:
        for name, version in (record.provenance.get("packages") or {}).items():
            packages.setdefault(name, set()).add(str(version))
    started = [str(r.provenance["started"]) for r in found if r.provenance.get("started")]
    finished = [str(r.provenance["finished"]) for r in found if r.provenance.get("finished")]
    return [
        ("code commit", distinct(r.provenance.get("commit") for r in found)),
        (
            "packages",
            ", ".join(f"{n} {'/'.join(sorted(v))}" for n, v in sorted(packages.items())) or "not recorded",
        ),
        ("hosts", distinct(r.provenance.get("host") for r in found)),
        ("seeds", distinct(r.seed for r in found)),
        ("made between", f"{min(started, default='?')} and {max(finished, default='?')}"),
    ]
