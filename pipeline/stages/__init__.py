"""The stages, reached by name: each module has NAME, VERSION, PRODUCES, Config and run(job)."""

from __future__ import annotations

import functools
import importlib
from types import ModuleType

from pipeline.errors import StudyError, suggest

NAMES = (
    "source",
    "filter",
    "mix",
    "subset",
    "base",
    "sft",
    "rl",
    "checkpoint",
    "sample",
    "score",
    "judge",
    "select",
    "solve",
    "dialogue",
    "synthesise",
    "compress",
    "analyse",
    "report",
)
"""Every stage, in the order in which a study goes through them."""


@functools.cache
def load(name: str) -> ModuleType:
    """The module of one stage; light to import (engines are imported inside `run`)."""
    if name not in NAMES:
        raise StudyError(f"there is no stage {name!r}", suggest(name, NAMES))
    return importlib.import_module(f"pipeline.stages.{name}")
