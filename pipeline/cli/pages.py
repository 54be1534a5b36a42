"""Reports of studies where a person looks for them: results/reports/<study>/.

A finished study's report is an artifact; its page is copied there by the stage. `studyc report` draws the page
afresh from whatever is done, so that it also works on unfinished studies and shows a title edited since.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline.plan.compiled import Plan, StudyPlan
from pipeline.stages import load
from pipeline.store.paths import index_path, report_path


@dataclass(frozen=True)
class Page:
    """A drawn report."""

    study: str
    path: str
    claims: Mapping[str, str]
    missing: int
    wanted: int


def build_reports(plan: Plan) -> list[Page]:
    """Draw the page of every study of a plan into results/reports/<study>/, and its index of artifacts."""
    from pipeline.report.build import build

    pages = []
    for study in plan.studies:
        folder = report_path(plan.results, study.study.name)
        built = build(study.request(), plan.results, folder)
        link_artifacts(plan, study, index_path(plan.results, study.study.name))
        pages.append(
            Page(
                study.study.name,
                str(folder / "report.html"),
                built.claims,
                built.n_missing,
                built.n_artifacts,
            )
        )
    return pages


def link_artifacts(plan: Plan, study: StudyPlan, folder: Path) -> None:
    """An index that people can read: <cell>/<stage>[-<measure>][-step<n>]-seed<s> → the artifact's folder."""
    for unit in study.lowered.units:
        cell = folder / "_".join(f"{factor}={level}" for factor, level in unit.cell.items())
        step = f"-step{unit.step}" if unit.step is not None else ""
        name = f"{unit.measure}{step}-seed{unit.seed}"
        named = {
            unit.policy: f"{step}-replicate{unit.replicate}",
            unit.completions: f"-{name}",
            unit.scores: f"-{name}",
        }
        for key, rest in named.items():
            _link(plan.folder(key), cell / f"{load(plan.artifacts[key].stage).produces}{rest}")


def _link(target: Path, link: Path) -> None:
    link.parent.mkdir(parents=True, exist_ok=True)
    pointed = os.path.relpath(target, link.parent)
    if link.is_symlink():
        if str(link.readlink()) == pointed:
            return
        link.unlink()
    link.symlink_to(pointed)
