"""How a stage's process starts: as a fork of the warm server, afresh, or by accelerate where several train together.

Guaranteed: the process runs the package of the frozen plan under the environment that the plan settled for its
configuration; it holds the artifact's lock, takes no input and ends with us. Refused: an interpreter that does not start.
"""

from __future__ import annotations

import contextlib
import json
import platform
import signal
import subprocess
import sys
from pathlib import Path

import psutil

from pipeline.backend.warm.client import WarmChild, start_job
from pipeline.end_with_parent import end_with_parent
from pipeline.errors import StageError
from pipeline.plan.frozen import FrozenPlan
from pipeline.stages import Environment, Placement

STAGE_PROCESS = "pipeline.backend.stage_process"

NOT_STARTED = (126, 127)
"""Exit codes by which a shell says that a program is not there or may not be run."""

LAUNCH_FILE = "accelerate.json"
LAUNCHER_READS = ("ACCELERATE_", "DEEPSPEED_", "DS_", "FSDP_")
"""Variables that would change how a training is spread; a recipe says all of it."""

MADE_BY: dict[Environment, str] = {"training": "make env", "vllm": "make env-vllm"}

Child = subprocess.Popen[bytes] | WarmChild


def start_stage(plan: FrozenPlan, key: str, job_file: Path, lock: int) -> Child:
    """Start the stage's process of an artifact, warm where it can be, with piped output."""
    return _start_warm(plan, key, job_file, lock) or _start_cold(plan, key, job_file, lock)


def refuse_interpreter(plan: FrozenPlan, environment: Environment, *why: str) -> StageError:
    """The error of a stage's interpreter that cannot be started, here or behind the environment's set-up line."""
    python, _ = plan.site.interpreter(environment)
    return StageError(
        ": ".join([f"the Python of environment {environment!r} does not start: {python}", *why]),
        f"Set it up (`{MADE_BY[environment]}`), or name one that is there under "
        f"`environments: {{{environment}: {{python: …}}}}` in the site file.",
    )


def _start_warm(plan: FrozenPlan, key: str, job_file: Path, lock: int) -> WarmChild | None:
    """A fork of the warm server, for a heavy CPU job of our own interpreter; None: start cold."""
    placement = plan.placement(key)
    is_ours = plan.site.interpreter(placement.environment) == (sys.executable, "")
    if not is_ours or not plan.is_heavy(key) or placement.gpus or placement.is_launched:
        return None
    environment = plan.site.stage_environment(plan.code)
    return start_job(STAGE_PROCESS, [str(job_file)], environment, plan.code, lock)


def _start_cold(plan: FrozenPlan, key: str, job_file: Path, lock: int) -> subprocess.Popen[bytes]:
    placement = plan.placement(key)
    kind: type[subprocess.Popen[bytes]] = subprocess.Popen
    environment = plan.site.stage_environment(plan.code)
    if placement.is_launched:
        kind = _Launcher
        environment = {
            name: value for name, value in environment.items() if not name.startswith(LAUNCHER_READS)
        }
        _write_launch_file(placement, job_file.with_name(LAUNCH_FILE))
    try:
        return kind(
            plan.site.command(placement.environment, _words(placement, job_file)),
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            pass_fds=(lock,),
            preexec_fn=_begin_child if platform.system() == "Linux" else None,
        )
    except OSError as error:
        raise refuse_interpreter(plan, placement.environment, str(error.strerror)) from None


def _words(placement: Placement, job_file: Path) -> list[str]:
    """What the interpreter is told; a training in several processes is started by accelerate, one process per GPU."""
    words = ["-m", STAGE_PROCESS, str(job_file)]
    if not placement.is_launched:
        return words
    engine = "--multi_gpu" if placement.deepspeed == "none" else "--use_deepspeed"
    options = {
        "--config_file": str(job_file.with_name(LAUNCH_FILE)),
        "--num_machines": "1",
        "--num_processes": str(placement.processes),
        "--main_process_port": "0",  # a free one: two trainings may share a machine
        "--mixed_precision": "no",  # the stage's own arguments decide
        "--dynamo_backend": "no",
    }
    chosen = [word for option in options.items() for word in option]
    return ["-m", "accelerate.commands.launch", engine, *chosen, *words]


def _write_launch_file(placement: Placement, path: Path) -> None:
    """accelerate's own file, so that what a person once told `accelerate config` never applies."""
    values = {
        "compute_environment": "LOCAL_MACHINE",
        "distributed_type": "MULTI_GPU" if placement.deepspeed == "none" else "DEEPSPEED",
        "num_processes": placement.processes,
        "use_cpu": False,  # the stage decides; said here, accelerate would not know DeepSpeed
        "mixed_precision": "no",
        "debug": False,
    }
    path.write_text(json.dumps(values))


class _Launcher(subprocess.Popen[bytes]):
    """accelerate's launcher. Signals go past it to the processes that train.

    It knows nothing of SIGUSR1, and gives its processes 30 seconds after SIGTERM: too few to save a large model.
    They agree on a step, save it and end; then it ends.
    """

    def send_signal(self, number: int) -> None:
        try:
            ranks = psutil.Process(self.pid).children() if self.poll() is None else []
        except psutil.NoSuchProcess:
            ranks = []
        for rank in ranks:
            with contextlib.suppress(psutil.NoSuchProcess):
                rank.send_signal(number)
        if not ranks:
            super().send_signal(number)


def _begin_child() -> None:
    """In the child, before it becomes the stage: end with us; a stage that minds SIGUSR1 says so itself."""
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    end_with_parent()
