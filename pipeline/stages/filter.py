"""Drop rows by the filters of the catalogue, in order, and say which went for which reason.

Guarantees: the kept rows stay in their order; every filter's count in, count out and reasons are in the
facts. A filter that leaves nothing stops the stage and is named, with the counts so far.
"""

from __future__ import annotations

from typing import Any

from pydantic import model_validator

from pipeline import filters
from pipeline.fingerprint import Config as BaseConfig
from pipeline.fingerprint import content, placement
from pipeline.store.job import Job

NAME = "filter"
VERSION = 2
PRODUCES = "dataset"


class FilterStep(BaseConfig):
    """One filter of the catalogue with its parameters (validated; those at their default are left out)."""

    name: str = content(describe="Name in the filter catalogue.")
    params: dict[str, Any] = content({}, describe="The filter's own parameters, validated by its model.")

    @model_validator(mode="before")
    @classmethod
    def _validate(cls, value: Any) -> Any:
        if isinstance(value, dict) and isinstance(value.get("name"), str):
            return {**value, "params": filters.validate(value["name"], value.get("params")).identity()}
        return value


class FilterConfig(BaseConfig):
    """Filters in the order in which they are applied."""

    filters: tuple[FilterStep, ...] = content(describe="Filters, first applied first.", min_length=1)
    seed: int = content(0, describe="Seed of filters that choose at random.", ge=0)

    folders: dict[str, str] = placement(
        {}, describe="Where the folders lie that filters name by the digest of their content."
    )
    batch_rows: int = placement(1024, describe="Rows that a filter in Python holds at once.", ge=1)
    processes: int = placement(1, describe="Processes of filters that grade answers or count tokens.", ge=1)


Config = FilterConfig


def run(job: Job) -> dict[str, Any]:
    """Filter input `rows` (against inputs `against`, with the tokenizer of input `policy`, if any)."""
    from pipeline.engines.filter import filter_rows

    return filter_rows(job, job.config)
