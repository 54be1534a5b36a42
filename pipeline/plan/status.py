"""Where a study stands: per cell and stage, done, running, waiting or failed."""

from __future__ import annotations

import json
import shlex
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline.plan.compiled import Plan, StudyPlan
from pipeline.project import snakefile_words
from pipeline.stages import in_order
from pipeline.store.attempts import read_ending
from pipeline.store.lock import is_locked
from pipeline.store.paths import record_path
from pipeline.store.progress import Progress, read_progress
from pipeline.store.record import is_done

STATES = ("done", "running", "failed", "waiting")


@dataclass(frozen=True)
class StatusRow:
    """One cell: per stage, one state per replicate (and checkpoint)."""

    label: str
    states: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class Failure:
    """An artifact whose last attempt failed: why, what to do, and the command that makes it alone."""

    key: str
    message: str
    remedy: str
    command: str


@dataclass(frozen=True)
class StatusGrid:
    """A study's state."""

    study: str
    stages: tuple[str, ...]
    rows: tuple[StatusRow, ...]
    totals: Mapping[str, int]
    running: tuple[str, ...]
    failed: tuple[Failure, ...]


def state_of(plan: Plan, key: str) -> str:
    """done, running, failed or waiting."""
    if key in plan.done:
        return "done"
    if key not in plan.begun:
        return "waiting"
    folder = plan.folder(key)
    if is_locked(folder):
        return "running"
    if is_done(folder):  # since the plan looked
        return "done"
    return "failed" if read_ending(folder) else "waiting"


def progress_line(plan: Plan, key: str) -> str:
    """`sft sft=64 · seed 1: 120/400 steps`, from what the stage last published."""
    artifact = plan.artifacts[key]
    found = read_progress(plan.folder(key))
    if found is None:
        return f"{artifact.stage} {artifact.title}: starting"
    quiet = time.time() - found.at
    late = f", silent for {quiet / 60:.0f} min" if quiet > 300 else ""
    return f"{artifact.stage} {artifact.title}: {count_text(found)}{late}"


def count_text(found: Progress) -> str:
    """`1,200/4,000 rollouts`, from what a stage publishes; whole numbers in full, however large."""
    done, total = (f"{x:,.0f}" if x == int(x) else f"{x:,.2f}" for x in (found.done, found.total))
    return f"{done}/{total} {found.unit}"


def study_status(plan: Plan, study: StudyPlan) -> StatusGrid:
    """The grid of one study of a plan."""
    states = {key: state_of(plan, key) for key in _needed(plan, study)}
    cells: dict[str, dict[str, dict[str, None]]] = {}
    for unit in study.lowered.units:
        label = " ".join(f"{f}={level}" for f, level in unit.cell.items())
        row = cells.setdefault(label, {})
        for key in _lineage(plan, unit.policy):
            row.setdefault(plan.artifacts[key].stage, {})[key] = None
        row.setdefault("sample", {})[unit.completions] = None
        row.setdefault("score", {})[unit.scores] = None
    present = {stage for row in cells.values() for stage in row}
    rows = tuple(
        StatusRow(label, {stage: tuple(states[key] for key in keys) for stage, keys in row.items()})
        for label, row in cells.items()
    )
    counted = Counter(states.values())
    return StatusGrid(
        study=study.study.name,
        stages=tuple(s.name for s in in_order() if s.is_in_status and s.name in present),
        rows=rows,
        totals={state: counted[state] for state in STATES},
        running=tuple(progress_line(plan, key) for key, state in states.items() if state == "running"),
        failed=tuple(_failure(plan, key) for key, state in states.items() if state == "failed"),
    )


def _needed(plan: Plan, study: StudyPlan) -> list[str]:
    """What the study's report is made from, and the report, in the plan's order."""
    needed = {study.report}
    for key, artifact in reversed(plan.artifacts.items()):
        if key in needed:
            needed.update(artifact.input_keys)
    return [key for key in plan.artifacts if key in needed]


def failures(plan: Plan) -> list[Failure]:
    """Every artifact of a plan that failed and is not being made again."""
    return [_failure(plan, key) for key in plan.artifacts if state_of(plan, key) == "failed"]


def _lineage(plan: Plan, policy: str) -> list[str]:
    keys = [policy]
    while plan.artifacts[keys[-1]].stage != "base":
        keys.append(dict(plan.artifacts[keys[-1]].inputs)["policy"][0])
    return keys


def _failure(plan: Plan, key: str) -> Failure:
    ending = read_ending(plan.folder(key))
    message, remedy = (ending.what, ending.remedy) if ending else ("failed without a message", "")
    return Failure(key, message, remedy, command_alone(plan, key))


def command_alone(plan: Plan, key: str) -> str:
    """The command that makes one artifact of a plan."""
    specs = [study.study.document.file for study in plan.studies]
    named = f"{'study' if len(specs) == 1 else 'studies'}={in_one_value(specs)}"
    elsewhere = [f"results={plan.results}"] if str(plan.results) != "results" else []
    record = record_path(plan.folder(key))
    return shlex.join(["snakemake", *snakefile_words(), str(record), "--config", named, *elsewhere])


def in_one_value(specs: Iterable[str | Path]) -> str:
    """Specs as one value of Snakemake's --config; a list where a path would fall apart into words."""
    words = [str(path) for path in specs]
    return json.dumps(words) if any(set(word) & set(" ,\t") for word in words) else " ".join(words)
