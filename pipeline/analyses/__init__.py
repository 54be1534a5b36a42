"""Measures of the text of responses, one file each; no grader is asked, and a model only where an entry says so.

An analysis module has `Params` (a fingerprint.Config), `NAME`, `SOURCE`, `DOC`, `COLUMNS` (what it measures,
name -> meaning) and

    measure(responses: Sequence[str], params) -> dict[column, list of float or bool]

It may ask for more, as a keyword argument: with `NEEDS_JUDGE` (the name of a judge) `verdicts`, one bool or None per
response; with `NEEDS_TOKENIZER` `count_tokens`, the policy's tokens of each of some texts.
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
    if needs_judge(name):
        lines.append(f"  needs    the verdicts of a judge {needs_judge(name)!r}: {{{name}: {{judge: NAME}}}}")
    for key, info in module.Params.model_fields.items():
        default = "required" if info.is_required() else f"default {info.get_default()!r}"
        lines.append(f"  {key}: {info.description} ({default})")
    return "\n".join(lines)


def needs_judge(name: str) -> str | None:
    """The judge of the catalogue whose verdicts an analysis reads; None for most."""
    return getattr(get(name), "NEEDS_JUDGE", None)


def needs_tokenizer(name: str) -> bool:
    """Whether an analysis counts tokens of the policy that responded."""
    return getattr(get(name), "NEEDS_TOKENIZER", False)


def measure(
    name: str, responses: Sequence[str], params: Config | None = None, **needed: Any
) -> dict[str, list[Any]]:
    """Measure responses with one analysis; every column has one value (float, bool or None) per response."""
    return get(name).measure(responses, params or validate(name), **needed)
