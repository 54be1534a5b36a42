"""The report stage's work: the page of a study, from whatever of it is done."""

from __future__ import annotations

from typing import Any

from pipeline.report.build import build
from pipeline.request.page import Request
from pipeline.stages.report import ReportConfig
from pipeline.store.job import Job
from pipeline.store.paths import results_of_artifact


def run(job: Job) -> dict[str, Any]:
    """Build the page into the artifact's folder, from the results folder that the artifact lies in.

    The facts give each claim's status and how many artifacts were missing.
    """
    config: ReportConfig = job.config
    job.progress(0, 1, "pages")
    request = Request.from_plain(job.hints.get("request") or config.request)
    built = build(request, results_of_artifact(job.folder), job.folder)
    job.progress(1, 1, "pages")
    return {"claims": built.claims, "n_missing": built.n_missing, "n_artifacts": built.n_artifacts}
