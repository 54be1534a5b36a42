"""What all models of a study file share: strictness, and names that are safe everywhere."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

NAME_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}")

HUB_PATTERN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*(/[A-Za-z0-9_][A-Za-z0-9._-]*)?")


def check_name(value: str) -> str:
    """A name that is safe as a path, as a shell word and in a report."""
    if not NAME_PATTERN.fullmatch(value) or ".." in value:
        raise ValueError(
            f"the name {value!r} is not safe as a path or shell word\n"
            "Use letters, digits and . _ + - after a letter or digit, at most 64."
        )
    return value


def check_hub_name(value: str) -> str:
    """A repository of the hub: owner/name, or an old name without owner."""
    if not HUB_PATTERN.fullmatch(value):
        remedy = (
            "Write a folder as a path"
            if value.startswith(("/", ".", "~"))
            else "Write OWNER/NAME, without the hub's address"
        )
        raise ValueError(f"{value!r} is no name of the hub\n{remedy}.")
    return value


HubName = Annotated[str, AfterValidator(check_hub_name)]
Name = Annotated[str, AfterValidator(check_name)]


class Model(BaseModel):
    """Frozen, strict, no unknown keys, no NaN."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False, defer_build=True)


def level_name(value: object) -> str:
    """What a level given by its bare value is called: as YAML writes it, and `none` for nothing."""
    return (
        {None: "none", True: "true", False: "false"}[value]
        if value is None or isinstance(value, bool)
        else str(value)
    )


Scalar = str | bool | int | float
Selector = dict[str, Scalar | tuple[Scalar, ...] | None]
"""factor: level, or several; `step: n` for a checkpoint."""


def _as_names(value: object) -> object:
    return (value,) if isinstance(value, str) else value


_SOME = Annotated[tuple[str, ...], Field(min_length=1)]
Names = Annotated[tuple[str, ...], BeforeValidator(_as_names, json_schema_input_type=str | tuple[str, ...])]
"""Several names, or one that stands for a list of one."""

Measures = str | _SOME
"""One measure, or several whose mean is meant."""

SomeNames = Annotated[_SOME, BeforeValidator(_as_names, json_schema_input_type=str | _SOME)]
"""The same, at least one."""
