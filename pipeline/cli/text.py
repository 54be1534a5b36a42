"""What the commands print: the plan, a check, an artifact's story, a status grid. Pure text from values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from textwrap import indent
from typing import TYPE_CHECKING, Any

from pipeline.plan.text import plural
from pipeline.stages import in_order
from pipeline.stages.base import StartConfig

if TYPE_CHECKING:
    from pipeline.fingerprint import Config
    from pipeline.plan.compiled import Plan, StudyPlan
    from pipeline.plan.explain import Explanation
    from pipeline.plan.status import Failure, StatusGrid


def size_line(study: StudyPlan, plan: Plan) -> str:
    """`12 cells × 3 replicates, 31 trainings after sharing`."""
    own = trainings(study, plan)
    replicates = len(study.study.spec.replicates.seeds)
    parts = ", ".join(f"{own[stage.name]} {stage.name}" for stage in in_order() if own[stage.name])
    total = sum(own.values())
    return (
        f"{plural(len(study.lowered.cells), 'cell')} × {plural(replicates, 'replicate')}, "
        f"{plural(total, 'training')} after sharing ({parts or 'none'}), {plural(len(study.claims), 'claim')}"
    )


def trainings(study: StudyPlan, plan: Plan) -> Counter[str]:
    """How many policies of each training stage one study needs (tiny base models count as trainings)."""
    keys = {run.key for run in study.lowered.runs}
    counted = Counter(plan.artifacts[key].stage for key in keys)
    bases = {_base_of(policy, plan) for policy in {unit.policy for unit in study.lowered.units}}
    counted["base"] += sum(_is_tiny(plan.artifacts[key].settled.config) for key in bases)
    return counted


def _is_tiny(config: Config) -> bool:
    """Whether a base model is trained here, from nothing, rather than fetched."""
    return isinstance(config, StartConfig) and config.tiny is not None


def _base_of(policy: str, plan: Plan) -> str:
    artifact = plan.artifacts[policy]
    while artifact.stage != "base":
        artifact = plan.artifacts[dict(artifact.inputs)["policy"][0]]
    return artifact.key


def plan_json(plan: Plan) -> dict[str, Any]:
    """The plan's counts for machines; `study` is the one study's name, or the names joined by +."""
    counts = plan.counts()
    total: Counter[str] = Counter()
    for row in counts.values():
        total.update(row)
    return {
        "study": "+".join(study.study.name for study in plan.studies),
        "stages": counts,
        "total": dict(total),
        "studies": [
            {
                "name": study.study.name,
                "cells": len(study.lowered.cells),
                "replicates": len(study.study.spec.replicates.seeds),
                "trainings": dict(trainings(study, plan)),
                "claims": len(study.claims),
                "measurements": len(study.lowered.units),
                "report": study.report,
            }
            for study in plan.studies
        ],
        "unpinned": [f"{kind}:{name}" for kind, name in plan.unpinned],
        "to_run": [
            {"key": key, "stage": plan.artifacts[key].stage, "title": plan.artifacts[key].title, "why": why}
            for key, why in plan.to_run.items()
        ],
    }


def explanation_text(found: Explanation) -> str:
    """`studyc why`: what an artifact is, what it is made from, and why it would or would not run."""
    lines = [f"{found.stage} {found.key}", f"  {found.title}", "", f"  {found.verdict}"]
    if found.changes:
        lines += ["", f"  against the nearest finished one, {found.nearest}:"]
        lines += [f"    {name}: {old} → {new}" for name, old, new in found.changes]
    lines += ["", "  identity (what decides its content):"]
    lines += [f"    {name}: {value}" for name, value in found.identity.items()]
    lines += ["", "  inputs:" if found.inputs else "  inputs: none"]
    lines += [f"    {role}: {key} ({state})" for role, key, state in found.inputs]
    if found.needed_by:
        lines += ["", f"  needed by {plural(len(found.needed_by), 'artifact')}:"]
        lines += [f"    {key}" for key in found.needed_by[:8]]
        lines += [f"    … and {len(found.needed_by) - 8} more"] if len(found.needed_by) > 8 else []
    if found.last_words:
        lines += ["", "  last words of its log:", *(f"    {line}" for line in found.last_words)]
    if found.command:
        lines += ["", "  make it alone:", f"    {found.command}"]
    return "\n".join(lines)


_SIGNS = {"done": "■", "running": "▶", "failed": "✗", "waiting": "·", "": " "}


def status_text(grid: StatusGrid) -> str:
    """`studyc status`: a grid of cells × stages, then what runs and what failed."""
    columns = grid.stages
    width = max([len(row.label) for row in grid.rows] + [4])
    head = f"  {'cell'.ljust(width)}  " + "  ".join(name.center(max(len(name), 4)) for name in columns)
    lines = [f"status of {grid.study}", head]
    for row in grid.rows:
        cells = []
        for name in columns:
            states = row.states.get(name, ())
            cells.append("".join(_SIGNS[s] for s in states).center(max(len(name), 4)))
        lines.append(f"  {row.label.ljust(width)}  " + "  ".join(cells))
    lines.append("  ■ done  ▶ running  ✗ failed  · waiting; one sign per replicate (and checkpoint)")
    lines += ["", "  " + ", ".join(f"{count} {state}" for state, count in grid.totals.items() if count)]
    for running in grid.running:
        lines.append(f"  ▶ {running}")
    lines += [indent(failure_text(failed), "  ") for failed in grid.failed]
    return "\n".join(lines)


def failure_text(failed: Failure) -> str:
    """An artifact that failed: why, what to do, and how to make it alone."""
    lines = [*failed.message.splitlines(), *failed.remedy.splitlines(), f"alone: {failed.command}"]
    return "\n".join([f"✗ {failed.key}", *(f"    {line}" for line in lines)])


def verdict_lines(claims: Mapping[str, Any]) -> list[str]:
    """One line per claim of a report's record: its verdict and its name."""
    return [f"  {status:<11} {name}" for name, status in claims.items()]
