"""The synthesise stage's work: make training rows out of responses or dialogues.

Reads dialogues.parquet of input `dialogues`, or completions.parquet of `completions` (with scores.parquet of
`scores`); leaves rows.parquet.
"""

from __future__ import annotations

from typing import Any

from pipeline.engines.synthesis.dialogues import use_dialogues
from pipeline.engines.synthesis.responses import use_completions
from pipeline.errors import InputError
from pipeline.stages.synthesise import SynthesiseConfig
from pipeline.store.job import Job


def run(job: Job) -> dict[str, Any]:
    """Write job.folder/rows.parquet; the facts count rows in and out, reasons, problems and classes."""
    config: SynthesiseConfig = job.config
    given = [role for role in ("dialogues", "completions") if job.inputs.get(role)]
    if len(given) != 1:
        raise InputError(
            f"synthesise takes dialogues or completions and was given {' and '.join(given) or 'neither'}",
            "Give it one of them; `mix` joins two sets of rows.",
        )
    return (use_completions if given == ["completions"] else use_dialogues)(job, config)
