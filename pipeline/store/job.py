"""What a stage is given: its configuration, its inputs, its folders and a way to report progress."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

from pipeline.errors import StudyError
from pipeline.store.paths import work_path
from pipeline.store.progress import publish_progress

QUIET = {
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
    "TRL_EXPERIMENTAL_SILENCE": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "TRANSFORMERS_VERBOSITY": "error",
}
"""What silences bars, advice and telemetry of the Hugging Face libraries; read when they are imported."""


ConfigT = TypeVar("ConfigT", covariant=True)


@dataclass(frozen=True)
class Job(Generic[ConfigT]):
    """One artifact to make, by a configuration of its stage.

    A stage writes its final files into `folder` and everything that a retry may resume from into
    `work`; the record is written by the caller after the stage has returned, never by the stage.
    `hints` are placement facts of the plan (steps to publish, siblings to sample for).
    """

    key: str
    stage: str
    config: ConfigT
    seed: int
    inputs: Mapping[str, tuple[Path, ...]]
    folder: Path
    title: str = ""
    hints: Mapping[str, Any] = field(default_factory=dict)

    @property
    def work(self) -> Path:
        """The folder of working files; it survives failures and is made on first use."""
        path = work_path(self.folder)
        path.mkdir(parents=True, exist_ok=True)
        return path

    def one(self, role: str) -> Path:
        """The folder of the single input of a role."""
        paths = self.inputs.get(role, ())
        if len(paths) != 1:
            raise StudyError(f"{self.stage} {self.key}: expected one input '{role}', got {len(paths)}")
        return paths[0]

    def progress(self, done: float, total: float, unit: str, **extra: float | str) -> None:
        """Publish how far the stage is (pipeline.store.progress)."""
        publish_progress(self.folder, done, total, unit, **extra)
