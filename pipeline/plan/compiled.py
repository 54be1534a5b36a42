"""Specs → one plan: artifacts merged across studies, what is done, what is to run and why."""

from __future__ import annotations

import contextlib
import functools
import gc
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline import stages
from pipeline.errors import Problem, SpecErrors
from pipeline.fingerprint import canonical_json, digest
from pipeline.plan.artifact import Artifact, Settled, settle
from pipeline.plan.graph import Graph
from pipeline.plan.lower.cells import Lowered, lower_study
from pipeline.plan.request.claims import compile_claims
from pipeline.plan.request.identity import digest_request
from pipeline.plan.request.metrics import Metrics
from pipeline.plan.request.shown import Shown, compile_shown
from pipeline.request.claims import CompiledClaim
from pipeline.request.page import Request
from pipeline.request.quantities import Fact, leaves
from pipeline.spec import read_study
from pipeline.spec.lock import FILE_NAME
from pipeline.spec.study import Study
from pipeline.stages.report import ReportConfig
from pipeline.store.paths import artifact_path
from pipeline.store.record import is_recorded, is_started, list_begun


@dataclass(frozen=True)
class StudyPlan:
    """One study of a plan: its report's key and what the report will show."""

    study: Study
    lowered: Lowered
    claims: tuple[CompiledClaim, ...]
    shown: Shown
    report: str

    def request(self) -> Request:
        """The report's request."""
        spec = self.study.spec
        factors = {name: tuple(factor.levels) for name, factor in self.study.factors.items()}
        measures = {name: dict(settings.values) for name, settings in self.study.measures.items()}
        return Request(
            study=spec.study,
            title=spec.title or spec.study,
            question=spec.question or "",
            factors=factors,
            units=tuple(self.lowered.units),
            cites=spec.cites,
            measures={name: _plain_protocol(values) for name, values in measures.items()},
            runs=tuple(self.lowered.runs),
            datasets=tuple(self.lowered.datasets),
            claims=self.claims,
            published=self.shown.published,
            figures=self.shown.figures,
            tables=self.shown.tables,
        )


@dataclass(frozen=True)
class Plan:
    """Every artifact of some studies, in an order in which inputs come before what needs them."""

    studies: tuple[StudyPlan, ...]
    artifacts: dict[str, Artifact]
    settled: Sequence[Settled]
    results: Path

    @functools.cached_property
    def begun(self) -> frozenset[str]:
        """The artifacts that have a folder: one listing per stage, however many artifacts there are."""
        used = {settled.stage for settled in self.settled}
        present = {stage: list_begun(self.results, stage) for stage in used}
        return frozenset(
            key for key, artifact in self.artifacts.items() if key in present[artifact.settled.stage]
        )

    @functools.cached_property
    def done(self) -> frozenset[str]:
        """The artifacts that have a record."""
        artifacts, results = self.artifacts, str(self.results)
        return frozenset(key for key in self.begun if is_recorded(results, artifacts[key].stage, key))

    @functools.cached_property
    def to_run(self) -> Mapping[str, str]:
        """The artifacts that a run would make, each with the reason, in order."""
        needed: set[str] = {study.report for study in self.studies}
        reasons: dict[str, str] = {}
        for key, artifact in reversed(self.artifacts.items()):
            if key in needed and key not in self.done:
                inputs = artifact.input_keys
                reasons[key] = self._reason(key, inputs)
                needed.update(inputs)
        return dict(reversed(reasons.items()))

    def _reason(self, key: str, inputs: Sequence[str]) -> str:
        if key in self.begun and is_started(self.results, self.artifacts[key].stage, key):
            return "started earlier and not finished: it resumes"
        missing = [name for name in inputs if name not in self.done]
        if missing:
            return f"not done; waits for {len(missing)} input{'s' if len(missing) > 1 else ''}"
        return "not done; its inputs are"

    def folder(self, key: str) -> Path:
        """The folder of an artifact."""
        return artifact_path(self.results, self.artifacts[key].stage, key)

    @functools.cached_property
    def unpinned(self) -> tuple[tuple[str, str], ...]:
        """(kind, name) of every hub name without a commit."""
        return tuple(sorted({(name.kind, name.name) for name in self.hub_names() if not name.is_pinned}))

    def hub_names(self) -> Iterator[stages.HubName]:
        """Every repository that a configuration takes from the hub, as often as it is taken."""
        for settled in self.settled:
            yield from stages.load(settled.stage).hub_names(settled.config)

    def counts(self) -> dict[str, dict[str, int]]:
        """Per stage: artifacts, done, to run."""
        table: dict[str, dict[str, int]] = {}
        done, to_run = self.done, self.to_run
        for stage in stages.in_order():
            table[stage.name] = {"artifacts": 0, "done": 0, "to_run": 0}
        for key, artifact in self.artifacts.items():
            row = table[artifact.settled.stage]
            row["artifacts"] += 1
            row["done"] += key in done
            row["to_run"] += key in to_run
        return {name: row for name, row in table.items() if row["artifacts"]}


def compile_plan(specs: Sequence[Path], *, results: Path = Path("results")) -> Plan:
    """Compile one or several spec files; SpecErrors with every problem of all of them."""
    with _collection_paused():
        return _compile(specs, results)


@contextlib.contextmanager
def _collection_paused() -> Iterator[None]:
    """No garbage collection: a plan's values hold no cycles, and walking them again and again is quadratic."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.freeze()
            gc.enable()


def _compile(specs: Sequence[Path], results: Path) -> Plan:
    graph = Graph()
    plans: list[StudyPlan] = []
    problems: list[Problem] = []
    for path in _distinct(specs):
        try:
            plans.append(_compile_one(path, graph))
        except SpecErrors as error:
            problems.extend(error.problems)
    first: dict[str, StudyPlan] = {}
    for plan in plans:
        other = first.setdefault(plan.study.name, plan)
        if other is not plan:
            what = (
                f"two of the given studies are called {plan.study.name!r}: {other.study.document.file}, too"
            )
            where = plan.study.document.locate(("study",))
            problems.append(Problem(what, "Rename one; the name is its report's.", where))
    if problems:
        raise SpecErrors(dict.fromkeys(problems))
    return Plan(tuple(plans), *graph.keep([plan.report for plan in plans]), results)


def _distinct(specs: Sequence[Path]) -> list[Path]:
    """Each file once, and no lock file beside others: what specs/*.yaml stands for."""
    files: dict[str, Path] = {}
    for path in specs:
        files.setdefault(os.path.realpath(path), path)
    kept = list(files.values())
    studies = [path for path in kept if path.name != FILE_NAME]
    return studies or kept


def _compile_one(path: Path, graph: Graph) -> StudyPlan:
    study, problems = read_study(path)
    lowered = lower_study(study, graph, problems)
    metrics = Metrics(lowered, problems)
    claims = compile_claims(lowered, problems, metrics)
    shown = compile_shown(lowered, problems, metrics)
    if not lowered.units and not problems:
        problems.add(
            (), "the study measures nothing: no cell has a measure", "Declare factors, cells and a measure."
        )
    if problems:
        raise SpecErrors(dict.fromkeys(problems))
    content = digest_request(lowered.units, claims, metrics.conditional, shown)
    report = _add_report(graph, study, lowered, claims, content)
    needed = graph.ancestors([report])
    lowered.datasets = [node for node in lowered.datasets if node.key in needed]
    return StudyPlan(study, lowered, claims, shown, report)


def _add_report(
    graph: Graph,
    study: Study,
    lowered: Lowered,
    claims: tuple[CompiledClaim, ...],
    content: str,
) -> str:
    """The report's artifact: named by what it measures and claims, not by titles or questions."""
    inputs: dict[str, tuple[str, ...]] = {
        "scores": tuple(dict.fromkeys(unit.scores for unit in lowered.units))
    }
    measured = tuple(dict.fromkeys(key for unit in lowered.units for key in unit.analyses.values()))
    if measured:
        inputs["analyses"] = measured
    if counted := _counted(claims):
        inputs["data"] = counted
    config = ReportConfig(study=study.name, content=content)
    settled = settle("report", stages.load("report").version, config, len(graph.settled))
    graph.settled.append(settled)
    ordered = tuple(sorted(inputs.items()))
    key = f"{study.name}-{digest(canonical_json([settled.identity, settled.version, study.name]))}"
    graph.artifacts[key] = Artifact(key, settled, 0, ordered, f"report of {study.name}")
    return key


def _counted(claims: tuple[CompiledClaim, ...]) -> tuple[str, ...]:
    """The data sets whose records a claim reads: nothing else may need them (a control of equal budget)."""
    effects = (part.effect for claim in claims for part in claim.parts if part.effect is not None)
    return tuple(dict.fromkeys(q.key for effect in effects for q in leaves(effect) if isinstance(q, Fact)))


def _plain_protocol(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if isinstance(value, (str, int, float, bool))}
