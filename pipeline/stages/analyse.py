"""Measure the text of sampled responses with one analysis of the catalogue."""

from __future__ import annotations

from typing import Any

from pydantic import model_validator

from pipeline import analyses
from pipeline.fingerprint import Config, content
from pipeline.stages import Stage


class AnalyseConfig(Config):
    """Which analysis, with its parameters (validated; those at their default are left out)."""

    analysis: str = content(describe="Name in the catalogue of analyses.")
    params: dict[str, Any] = content({}, describe="The analysis's own parameters, validated by its model.")

    @model_validator(mode="before")
    @classmethod
    def _validate(cls, value: Any) -> Any:
        if isinstance(value, dict) and isinstance(value.get("analysis"), str):
            return {**value, "params": analyses.validate(value["analysis"], value.get("params")).identity()}
        return value


STAGE = Stage(
    name="analyse",
    version=1,
    config=AnalyseConfig,
    produces="measures",
    follows="compress",
    summary="Measure the text of responses.",
)
