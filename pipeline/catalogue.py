"""Catalogues: packages in which every module is one entry, found by its file name.

An entry is imported only when it is asked for; `Params` is its configuration model. What an unknown
name or parameter gets is the same everywhere: the nearest name, or the parameters that exist.
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any

from pipeline.errors import StudyError, suggest
from pipeline.fingerprint import Config


class Catalogue:
    """The entries of one package."""

    def __init__(self, package: str, paths: Sequence[str], kind: str) -> None:
        self.package = package
        self.kind = kind
        self._names = tuple(
            sorted(module.name for module in pkgutil.iter_modules(paths) if not module.name.startswith("_"))
        )
        self.module = functools.cache(self._module)

    def names(self) -> tuple[str, ...]:
        """All names, sorted."""
        return self._names

    def _module(self, name: str) -> ModuleType:
        """The module of one entry; StudyError with the nearest name when there is none."""
        if name not in self._names:
            raise StudyError(f"{self.kind} {name!r} is unknown", suggest(name, self._names))
        return importlib.import_module(f"{self.package}.{name}")

    def params_model(self, name: str) -> type[Config]:
        """The configuration model of one entry."""
        return self.module(name).Params

    def validate(self, name: str, params: Mapping[str, Any]) -> Config:
        """The validated parameters of one entry; pydantic's ValidationError where they do not fit."""
        return self.params_model(name).model_validate(dict(params))

    def describe(self, name: str) -> str:
        """The first paragraph of the entry's own documentation."""
        return (self.module(name).__doc__ or "").strip().split("\n\n")[0]
