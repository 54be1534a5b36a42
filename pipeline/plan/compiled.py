"""Specs → one plan: artifacts merged across studies, what is done, what is to run and why."""

from __future__ import annotations

import contextlib
import functools
import gc
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pipeline import stages
from pipeline.errors import Problem, SpecErrors
from pipeline.fingerprint import canonical_json, digest
from pipeline.plan.artifact import Artifact, Settled, settle
from pipeline.plan.graph import Graph
from pipeline.plan.lower.cells import Lowered, lower_study
from pipeline.plan.lower.sources import unpinned_names
from pipeline.plan.request.claims import compile_claims
from pipeline.plan.request.figures import Shown, compile_shown
from pipeline.plan.request.metrics import Metrics
from pipeline.request.quantities import Fact, leaves
from pipeline.request.request import CompiledClaim, GivenMetric, Part, Request
from pipeline.spec import read_study
from pipeline.spec.lock import FILE_NAME
from pipeline.spec.study import Study
from pipeline.store.record import NAME as RECORD


@dataclass(frozen=True)
class StudyPlan:
    """One study of a plan: its report's key and what the report will show."""

    study: Study
    lowered: Lowered
    claims: tuple[CompiledClaim, ...]
    metrics: Mapping[str, GivenMetric]
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
            metrics=self.metrics,
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
        present: dict[str, frozenset[str]] = {}
        for stage in {settled.stage for settled in self.settled}:
            try:
                present[stage] = frozenset(os.listdir(self.results / stage))
            except OSError:
                present[stage] = frozenset()
        return frozenset(
            key for key, artifact in self.artifacts.items() if key in present[artifact.settled.stage]
        )

    @functools.cached_property
    def done(self) -> frozenset[str]:
        """The artifacts that have a record."""
        return frozenset(key for key in self.begun if os.path.exists(f"{self._folder(key)}/{RECORD}"))

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
        if key in self.begun and os.path.exists(f"{self._folder(key)}/work"):
            return "started earlier and not finished: it resumes"
        missing = [name for name in inputs if name not in self.done]
        if missing:
            return f"not done; waits for {len(missing)} input{'s' if len(missing) > 1 else ''}"
        return "not done; its inputs are"

    def _folder(self, key: str) -> str:
        return f"{self.results}/{self.artifacts[key].stage}/{key}"

    @functools.cached_property
    def unpinned(self) -> tuple[tuple[str, str], ...]:
        """(kind, name) of every hub name without a commit."""
        stages_of_names = ("source", "base", "filter")
        return tuple(
            sorted(
                {
                    name
                    for settled in self.settled
                    if settled.stage in stages_of_names
                    for name in unpinned_names(settled.config)
                }
            )
        )

    def counts(self) -> dict[str, dict[str, int]]:
        """Per stage: artifacts, done, to run."""
        table: dict[str, dict[str, int]] = {}
        done, to_run = self.done, self.to_run
        for stage in stages.NAMES:
            table[stage] = {"artifacts": 0, "done": 0, "to_run": 0}
        for key, artifact in self.artifacts.items():
            row = table[artifact.settled.stage]
            row["artifacts"] += 1
            row["done"] += key in done
            row["to_run"] += key in to_run
        return {stage: row for stage, row in table.items() if row["artifacts"]}


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
    report = _add_report(graph, study, lowered, claims, metrics.given, shown)
    needed = graph.ancestors([report])
    lowered.datasets = [node for node in lowered.datasets if node.key in needed]
    return StudyPlan(study, lowered, claims, metrics.given, shown, report)


def _add_report(
    graph: Graph,
    study: Study,
    lowered: Lowered,
    claims: tuple[CompiledClaim, ...],
    given: Mapping[str, GivenMetric],
    declared: Shown,
) -> str:
    """The report's artifact: named by what it measures and claims, not by titles or questions."""
    module = stages.load("report")
    inputs: dict[str, tuple[str, ...]] = {
        "scores": tuple(dict.fromkeys(unit.scores for unit in lowered.units))
    }
    measured = tuple(dict.fromkeys(key for unit in lowered.units for key in unit.analyses.values()))
    if measured:
        inputs["analyses"] = measured
    if counted := _counted(claims):
        inputs["data"] = counted
    cells = [
        [
            list(unit.cell.items()),
            unit.replicate,
            unit.step,
            unit.measure,
            unit.scores,
            list(unit.analyses.items()),
        ]
        for unit in lowered.units
    ]
    decided = [
        [
            c.name,
            c.metric,
            c.text,
            c.published,
            [_decided(part) for part in c.parts],
        ]
        for c in sorted(claims, key=lambda claim: claim.name)
    ]
    published = [asdict(number) for number in declared.published]
    shown = json.dumps(
        cells, separators=(",", ":"), ensure_ascii=False
    )  # text, integers and null: canonical as it is
    metrics = [[name, asdict(metric)] for name, metric in sorted(given.items())]
    drawn = [
        *(asdict(figure) for figure in declared.figures or ()),
        *(asdict(table) for table in declared.tables),
    ]
    later = [part for part in (metrics, drawn) if part]
    parts = [canonical_json(part) for part in (decided, published, *later)]
    content = digest(f"[{','.join([shown, *parts])}]")
    config = module.Config(study=study.name, content=content)
    settled: Settled = settle("report", module.VERSION, config, len(graph.settled))
    graph.settled.append(settled)
    ordered = tuple(sorted(inputs.items()))
    key = f"{study.name}-{digest(canonical_json([settled.identity, settled.version, study.name]))}"
    graph.artifacts[key] = Artifact(key, settled, 0, ordered, f"report of {study.name}")
    return key


def _counted(claims: tuple[CompiledClaim, ...]) -> tuple[str, ...]:
    """The data sets whose records a claim reads: nothing else may need them (a control of equal budget)."""
    effects = (part.effect for claim in claims for part in claim.parts if part.effect is not None)
    return tuple(dict.fromkeys(q.key for effect in effects for q in leaves(effect) if isinstance(q, Fact)))


def _decided(part: Part) -> list[Any]:
    """What decides a part; the fields of later forms only where they are used, so that plain claims stay named alike."""
    later = [part.high, asdict(part.effect) if part.effect is not None else None]
    plain = [part.label, part.kind, part.left, part.right, part.by, part.times, part.value]
    return [*plain, *(later if any(x is not None for x in later) else [])]


def _plain_protocol(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if isinstance(value, (str, int, float, bool))}
