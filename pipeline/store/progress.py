"""How far a stage is: published by the stage while it runs, read by `status`, `run` and its bars.

Guaranteed: a reader sees a whole report or none; a stage is slowed by at most two reports a second.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.store.atomic import replaced_file
from pipeline.store.paths import progress_path, work_path

SECONDS_BETWEEN = 0.5


@dataclass(frozen=True)
class Progress:
    """One report: so many units of all, at a time (seconds since 1970), and what else the stage tells (a loss)."""

    done: float
    total: float
    unit: str
    at: float
    extra: Mapping[str, float | str] = field(default_factory=dict)


def publish_progress(folder: Path, done: float, total: float, unit: str, **extra: float | str) -> None:
    """Replace the report on an artifact, at most twice a second but for the last; of several processes the first does it."""
    if os.environ.get("RANK", "0") != "0":
        return
    now = time.time()
    if now - _published.get(folder, 0.0) < SECONDS_BETWEEN and done < total:
        return
    _published[folder] = now
    work_path(folder).mkdir(parents=True, exist_ok=True)
    with replaced_file(progress_path(folder)) as scratch:
        scratch.write_text(json.dumps({"done": done, "total": total, "unit": unit, "time": now, **extra}))


def read_progress(folder: Path) -> Progress | None:
    """What a stage last published; None where it has not yet."""
    try:
        found = json.loads(progress_path(folder).read_text())
        said = {name: found.pop(name) for name in ("done", "total", "unit")}
        return Progress(**said, at=found.pop("time"), extra=found)
    except (OSError, ValueError, KeyError, AttributeError, TypeError):
        return None


_published: dict[Path, float] = {}
