"""Drop rows by the filters of the catalogue, in order, and say which went for which reason.

Guarantees: the kept rows stay in their order; every filter's count in, count out and reasons are in the
facts. A filter that leaves nothing stops the stage and is named, with the counts so far.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import model_validator

from pipeline import filters
from pipeline.fingerprint import Config, content, placement
from pipeline.stages import HubName, Stage


class FilterStep(Config):
    """One filter of the catalogue with its parameters (validated; those at their default are left out)."""

    name: str = content(describe="Name in the filter catalogue.")
    params: dict[str, Any] = content({}, describe="The filter's own parameters, validated by its model.")

    @model_validator(mode="before")
    @classmethod
    def _validate(cls, value: Any) -> Any:
        if isinstance(value, dict) and isinstance(value.get("name"), str):
            return {**value, "params": filters.validate(value["name"], value.get("params")).identity()}
        return value


class FilterConfig(Config):
    """Filters in the order in which they are applied."""

    filters: tuple[FilterStep, ...] = content(describe="Filters, first applied first.", min_length=1)
    seed: int = content(0, describe="Seed of filters that choose at random.", ge=0)

    folders: dict[str, str] = placement(
        {}, describe="Where the folders lie that filters name by the digest of their content."
    )
    batch_rows: int = placement(1024, describe="Rows that a filter in Python holds at once.", ge=1)
    processes: int = placement(1, describe="Processes of filters that grade answers or count tokens.", ge=1)


def _hub_names(config: FilterConfig) -> Iterator[HubName]:
    """The tokenizers that filters count with, but for those of folders on this machine."""
    from pipeline.filters.max_tokens import BY_DIGEST

    for step in config.filters:
        name = step.params.get("tokenizer")
        if name is not None and not name.startswith(BY_DIGEST):
            yield HubName("models", name, step.params.get("revision"))


STAGE = Stage(
    name="filter",
    version=2,
    config=FilterConfig,
    produces="dataset",
    follows="source",
    summary="Drop rows by named filters, and say why.",
    hub_names=_hub_names,
)
