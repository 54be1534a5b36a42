"""The page of a study, built from whatever is done: verdicts, figures, tables, provenance."""

from __future__ import annotations

from typing import Any

from pipeline.fingerprint import Config, content, placement
from pipeline.stages import Stage


class ReportConfig(Config):
    """Which report: the study's name and a digest of what it measures and claims.

    The request itself (titles, labels, units) comes with the job, so that a new title re-runs nothing.
    """

    study: str = content("", describe="The study's name.")
    content: str = content("", describe="Digest of units, claims and published numbers.")
    request: dict[str, Any] = placement(
        {}, describe="Request.to_plain, where the job's hints do not carry it."
    )


STAGE = Stage(
    name="report",
    version=3,
    config=ReportConfig,
    produces="report",
    follows="analyse",
    summary="Decide the claims and draw the page.",
)
