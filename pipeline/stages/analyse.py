"""Measure the text of sampled responses with one analysis of the catalogue."""

from __future__ import annotations

from typing import Any

from pydantic import model_validator

from pipeline import analyses
from pipeline.fingerprint import Config as BaseConfig
from pipeline.fingerprint import content
from pipeline.store.job import Job

NAME = "analyse"
VERSION = 1
PRODUCES = "measures"


class AnalyseConfig(BaseConfig):
    """Which analysis, with its parameters (validated; those at their default are left out)."""

    analysis: str = content(describe="Name in the catalogue of analyses.")
    params: dict[str, Any] = content({}, describe="The analysis's own parameters, validated by its model.")

    @model_validator(mode="before")
    @classmethod
    def _validate(cls, value: Any) -> Any:
        if isinstance(value, dict) and isinstance(value.get("analysis"), str):
            return {**value, "params": analyses.validate(value["analysis"], value.get("params")).identity()}
        return value


Config = AnalyseConfig


def run(job: Job) -> dict[str, Any]:
    """Measure input `completions`, with `verdicts` or `policy` where it needs them; leaves measures.parquet."""
    from pipeline.engines.analyse import measure

    return measure(job)
