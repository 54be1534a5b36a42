"""Judges: what a model is asked about a text, and how its reply becomes a label; one file each.

A judge module has `Params` (a fingerprint.Config), `NAME`, `SOURCE`, `DOC`, `FIELDS` (the texts of a row that it
reads), `LABELS` (label -> meaning), `POSITIVE` (the labels that count as yes) and

    ask(fields: Mapping[field, text], params) -> list of chat messages
    read(reply: str, params) -> label, or None where the reply does not say one

A reply that is not in the form that was asked for is unreadable (None); no judge guesses. Whether an answer
is right is no judge's business: the grader decides that.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipeline.catalogue import Catalogue
from pipeline.fingerprint import Config

_catalogue = Catalogue("pipeline.judges", __path__, "judge")
names = _catalogue.names
get = _catalogue.module
params_model = _catalogue.params_model


def validate(name: str, params: Mapping[str, Any] | None = None) -> Config:
    """The validated parameters; StudyError for an unknown name, pydantic's ValidationError for bad values."""
    return _catalogue.validate(name, params or {})


def ask(name: str, fields: Mapping[str, str], params: Config | None = None) -> list[dict[str, str]]:
    """The chat messages that ask one judge about one row's texts."""
    return get(name).ask(fields, params or validate(name))


def read(name: str, reply: str, params: Config | None = None) -> str | None:
    """The label that a reply gives; None where it is unreadable."""
    label = get(name).read(reply, params or validate(name))
    assert label is None or label in get(name).LABELS, label
    return label


def describe(name: str) -> str:
    """What a judge decides, from where, label by label, and its parameters."""
    module = get(name)
    lines = [f"{name}: {module.DOC}", f"  source   {module.SOURCE}", f"  reads    {', '.join(module.FIELDS)}"]
    for label, meaning in module.LABELS.items():
        lines.append(f"  label    {label}: {meaning}{' (positive)' if label in module.POSITIVE else ''}")
    for key, info in module.Params.model_fields.items():
        default = "required" if info.is_required() else f"default {info.get_default()!r}"
        lines.append(f"  {key}: {info.description} ({default})")
    return "\n".join(lines)
