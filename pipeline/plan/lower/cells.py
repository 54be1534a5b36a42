"""Cells → artifacts: the chain model → training stages → checkpoints → sample → score → analyse.

Work that two cells (or two studies) share is one artifact, because an artifact is named by what
decides its content. Every problem is collected; nothing here reads a file but through digests and the lock.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from pipeline.plan.cells import Cell, expand_cells, is_selected
from pipeline.plan.graph import Graph
from pipeline.plan.lower.analyses import Analysis, add_measures, read_analyses
from pipeline.plan.lower.answers import Protocol, Rows
from pipeline.plan.lower.chains import add_checkpoints, train
from pipeline.plan.lower.demands import At, CellChain, FirstRows
from pipeline.plan.lower.judges import check_judges
from pipeline.plan.lower.only import ONLY, note_idle
from pipeline.plan.lower.policies import check_policies
from pipeline.plan.lower.recipes import check_levels, find_protocol
from pipeline.plan.lower.resolver import Resolver
from pipeline.plan.lower.rows import all_rows, rows_for
from pipeline.plan.lower.rules import RULES
from pipeline.request.units import DataNode, Run, Unit
from pipeline.spec.levels import Problems
from pipeline.spec.study import Study

SUBSET_SHIFT = 1_000_003
"""Distance between the subset seeds of two replicates, where replicates vary the subset."""


@dataclass
class Lowered:
    """What one study needs, in the order of its cells."""

    study: Study
    cells: tuple[Cell, ...]
    units: list[Unit] = field(default_factory=list)
    runs: list[Run] = field(default_factory=list)
    datasets: list[DataNode] = field(default_factory=list)
    cell_units: dict[tuple[Cell, int | None, str], list[int]] = field(default_factory=dict)
    """(cell, checkpoint step, measure) → indices of the units of all replicates."""
    data_keys: dict[str, str] = field(default_factory=dict)
    """Name of a data entry → its artifact, as the first cell asks for it."""


class _Measure(NamedTuple):
    """A measure of a cell, the same for all its policies."""

    name: str
    protocol: Protocol
    rows: Rows


def lower_study(study: Study, graph: Graph, problems: Problems) -> Lowered:
    """Add a study's artifacts to the graph; returns its units, runs and data sets."""
    resolver = Resolver(study, graph, problems, RULES)
    lowered = Lowered(study, expand_cells(study, problems))
    first = At(lowered.cells[0], 0) if lowered.cells else None
    check_policies(resolver)
    check_judges(resolver)
    for name in study.spec.data:  # so that errors show also in those that no cell uses
        all_rows(resolver, name, first)
    if lowered.cells:
        check_levels(resolver, lowered.cells[0])
    analyses = read_analyses(resolver)
    for cell in lowered.cells:
        _lower_cell(resolver, lowered, cell, analyses)
    if not problems:  # else policies may be missing for another reason
        _check_only(lowered, analyses, problems)
    lowered.datasets = resolver.datasets.named_apart()
    known = {name: all_rows(resolver, name, first) for name in study.spec.data}
    lowered.data_keys = {name: rows.key for name, rows in known.items() if rows is not None}
    return lowered


def _lower_cell(resolver: Resolver, lowered: Lowered, cell: Cell, analyses: Sequence[Analysis]) -> None:
    """Add what a cell trains, samples and measures, replicate by replicate."""
    chain = resolver.get(CellChain(cell))
    if chain is None:
        return
    replicates, levels = resolver.study.spec.replicates, cell.as_dict()
    vary, measuring = replicates.vary, None
    for replicate, seed in enumerate(replicates.seeds):
        at = At(cell, seed if "train" in vary else 0, SUBSET_SHIFT * seed if "subset" in vary else 0)
        policies = train(resolver, chain, at)
        for step, key in zip(chain.steps, policies[1:], strict=False):
            if step.recipe is not None:
                run = Run(cell=levels, replicate=replicate, stage=step.recipe.stage, key=key)
                lowered.runs.append(run)
        if len(policies) <= len(chain.steps):
            continue  # a training is broken
        if measuring is None:
            measuring = _Measuring(resolver, lowered, cell, levels, list(_measures(resolver, at)), analyses)
        own_seed = seed if "sample" in vary else 0
        for number, policy in add_checkpoints(resolver, chain, policies[-1]):
            measuring.add(policy, replicate, own_seed, number)
        measuring.add(policies[-1], replicate, own_seed)


def _measures(resolver: Resolver, at: At) -> Iterator[_Measure]:
    """The measures of a cell with their protocols and problems."""
    for name, settings in resolver.study.measures.items():
        protocol = find_protocol(resolver, name, at.cell)
        if protocol is not None:
            where = settings.locator(resolver.problems.document)(("rows",), False)
            asked = FirstRows(protocol.data, protocol.rows, where=where)
            rows = rows_for(resolver, asked, at)
            if rows is not None:
                yield _Measure(name, protocol, rows)


class _Measuring(NamedTuple):
    """Samples the policies of one cell, scores and analyses their responses."""

    resolver: Resolver
    lowered: Lowered
    cell: Cell
    levels: Mapping[str, str]
    measures: Sequence[_Measure]
    analyses: Sequence[Analysis]

    def add(self, policy: str, replicate: int, seed: int, step: int | None = None) -> None:
        """Add all measurements of one policy, which is a replicate's last or one of its checkpoints."""
        lowered, cell, graph = self.lowered, self.cell, self.resolver.graph
        score = self.resolver.study.spec.score
        where = graph.artifacts[policy].title.split(" · seed")[0] + (f" step {step}" if step else "")
        short = graph.slugs[policy][:40].rstrip("-._")
        for measure in self.measures:
            config, rows, only = measure.protocol.config, measure.rows, measure.protocol.only
            if only and not any(is_selected(cell, step, selector) for selector in only):
                continue
            own = 0 if config.temperature == 0 else seed
            title, name = f"{where} · {measure.name} · seed {own}", f"{short}-{rows.label}-k{config.samples}"
            inputs = {"policy": (policy,), "problems": (rows.key,)}
            completions = graph.add("sample", config, own, inputs, title, name)
            scores = graph.add("score", score, 0, {"completions": (completions,)}, title, name)
            taken = [analysis for analysis in self.analyses if analysis.is_taken(cell, step, measure.name)]
            columns = add_measures(graph, taken, completions, policy, title, name) if taken else {}
            unit = Unit(
                cell=self.levels, replicate=replicate, seed=own, measure=measure.name, policy=policy,
                completions=completions, scores=scores, analyses=columns, step=step,
            )  # fmt: skip
            lowered.cell_units.setdefault((cell, step, measure.name), []).append(len(lowered.units))
            lowered.units.append(unit)


def _check_only(lowered: Lowered, analyses: Sequence[Analysis], problems: Problems) -> None:
    """Note an `only` that selects nothing."""
    places = lowered.cell_units
    for settings in lowered.study.measures.values():
        if settings.values.get(ONLY) and not settings.references:
            note_idle(settings.values[ONLY], settings.origins[ONLY], places, problems)
    for analysis in analyses:
        note_idle(analysis.only, (*analysis.path, ONLY), places, problems)
