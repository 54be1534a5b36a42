"""Walks configuration models."""

from __future__ import annotations

import typing
from collections.abc import Iterator

from pipeline.fingerprint import Config


def config_models(model: type[Config]) -> Iterator[type[Config]]:
    """A configuration model and every one below it."""
    yield model
    for field in model.model_fields.values():
        for arm in _arms(field.annotation):
            yield from config_models(arm)


def _arms(annotation: object) -> Iterator[type[Config]]:
    if isinstance(annotation, type) and issubclass(annotation, Config):
        yield annotation
    for inner in typing.get_args(annotation):
        yield from _arms(inner)
