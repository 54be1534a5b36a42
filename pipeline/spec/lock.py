"""The lock file beside the specs: hub names and the commits that they are pinned to.

`studyc pin` writes it where the hub can be reached. A name without an entry plans and dry-runs; `run`
refuses it. The file is YAML: `models: {NAME: COMMIT}`, `datasets: {NAME: COMMIT}`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pipeline.errors import Problem, SpecErrors, shown
from pipeline.locate import EMPTY, read_yaml
from pipeline.stages import UNPINNED

FILE_NAME = "hub.lock.yaml"
KINDS = ("models", "datasets")
REMEDY = "Remove the file and run `studyc pin`."
_COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class Lock:
    """Commits by kind and name."""

    path: Path
    models: Mapping[str, str] = field(default_factory=dict)
    datasets: Mapping[str, str] = field(default_factory=dict)

    def revision(self, kind: Literal["models", "datasets"], name: str) -> str:
        """The pinned commit of a hub name, or `unpinned`."""
        return (self.models if kind == "models" else self.datasets).get(name, UNPINNED)


def read_lock(path: Path) -> Lock:
    """Read a lock file; an absent one pins nothing."""
    if not path.exists():
        return Lock(path)
    try:
        document = read_yaml(path)
    except SpecErrors as error:
        if any(problem.what != EMPTY for problem in error.problems):
            raise
        return Lock(path)
    problems: list[Problem] = []
    found: dict[str, dict[str, str]] = {kind: {} for kind in KINDS}
    content = document.value if isinstance(document.value, dict) else {}
    if not isinstance(document.value, dict):
        problems.append(
            Problem("a lock file is a mapping of models and datasets", REMEDY, document.locate(()))
        )
    for kind, names in content.items():
        if kind not in KINDS or not isinstance(names or {}, dict):
            problems.append(
                Problem(
                    f"unknown key {kind!r}", "Known: models, datasets.", document.locate((kind,), key=True)
                )
            )
            continue
        for name, commit in (names or {}).items():
            if not isinstance(commit, str) or not _COMMIT.fullmatch(commit):
                what = f"{kind}: {name} is not pinned to a full commit hash but to {shown(commit)}"
                problems.append(
                    Problem(
                        what,
                        "Write the 40 hex digits of a commit, quoted; or remove the line and run `studyc pin`.",
                        document.locate((kind, name)),
                    )
                )
            else:
                found[kind][name] = commit
    if problems:
        raise SpecErrors(problems)
    return Lock(path, found["models"], found["datasets"])
