"""The page of a study, built from whatever is done: verdicts, figures, tables, provenance."""

from __future__ import annotations

from typing import Any

from pipeline.fingerprint import Config as BaseConfig
from pipeline.fingerprint import content, placement
from pipeline.store.job import Job
from pipeline.store.paths import results_of_artifact

NAME = "report"
VERSION = 3
PRODUCES = "report"


class ReportConfig(BaseConfig):
    """Which report: the study's name and a digest of what it measures and claims.

    The request itself (titles, labels, units) comes with the job, so that a new title re-runs nothing.
    """

    study: str = content("", describe="The study's name.")
    content: str = content("", describe="Digest of units, claims and published numbers.")
    request: dict[str, Any] = placement(
        {}, describe="Request.to_plain, where the job's hints do not carry it."
    )


Config = ReportConfig


def run(job: Job) -> dict[str, Any]:
    """Build the page into the artifact's folder, from the results folder that the artifact lies in.

    The facts give each claim's status and how many artifacts were missing.
    """
    from pipeline.report.build import build
    from pipeline.request.page import Request

    job.progress(0, 1, "pages")
    request = job.hints.get("request") or job.config.request
    built = build(Request.from_plain(request), results_of_artifact(job.folder), job.folder)
    job.progress(1, 1, "pages")
    return {"claims": built.claims, "n_missing": built.n_missing, "n_artifacts": built.n_artifacts}
