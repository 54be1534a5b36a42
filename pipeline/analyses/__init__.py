"""Measures of the text of responses, one file each; no model and no grader is asked.

An analysis module has `Params` (a fingerprint.Config), `NAME`, `SOURCE`, `DOC`, `COLUMNS` (what it measures,
name -> meaning) and

    measure(responses: Sequence[str], params) -> dict[column, list of float or bool]
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.catalogue import Catalogue
from pipeline.fingerprint import Config

_catalogue = Catalogue("pipeline.analyses", __path__, "analysis")
names = _catalogue.names
get = _catalogue.module
params_model = _catalogue.params_model


def validate(name: str, params: Mapping[str, Any] | None = None) -> Config:
    """The validated parameters; StudyError for an unknown name, pydantic's ValidationError for bad values."""
    return _catalogue.validate(name, params or {})


def columns(name: str) -> tuple[str, ...]:
    """The columns that an analysis writes to measures.parquet."""
    return tuple(get(name).COLUMNS)


def describe(name: str) -> str:
    """What an analysis measures, from where, column by column, and its parameters."""
    module = get(name)
    lines = [f"{name}: {module.DOC}", f"  source   {module.SOURCE}"]
    lines += [f"  column   {column}: {meaning}" for column, meaning in module.COLUMNS.items()]
    for key, info in module.Params.model_fields.items():
        default = "required" if info.is_required() else f"default {info.get_default()!r}"
        lines.append(f"  {key}: {info.description} ({default})")
    return "\n".join(lines)


def measure(
    name: str, responses: Sequence[str], params: Config | None = None
) -> dict[str, list[float] | list[bool]]:
    """Measure responses with one analysis; every column has one value per response."""
    return get(name).measure(responses, params or validate(name))
