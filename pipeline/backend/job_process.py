"""One job of the graph: lock, check inputs, run the stage under its environment, write the record.

`python -m pipeline.backend.job_process PLAN KEY` is the command of every rule. It reads the frozen plan, never the spec.
The stage runs in a child process (possibly several, through accelerate) whose output goes to this
process's own output and to `work/attempts/<n>.log`, which survives retries. Signals are passed on, so that a
preempted stage can save; if this process is killed, the child is killed with it by the kernel. Whatever ends an
attempt before its record is noted beside the log (`pipeline.store.attempts`).
"""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import platform
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil

from pipeline.backend.warm.client import WarmChild, is_heavy, start_job
from pipeline.end_with_parent import end_with_parent
from pipeline.errors import StageError, StudyError
from pipeline.plan.frozen import FrozenPlan, read_frozen
from pipeline.store import attempts
from pipeline.store.lock import writer_lock
from pipeline.store.paths import facts_path, job_path, progress_path, record_path, results_of_plan
from pipeline.store.record import find_damage, is_done, write_record

PASSED_ON = (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT)
LAUNCHED = ("sft", "rl")
"""Stages that train on several GPUs of one node."""

NOT_STARTED = (126, 127)
"""Exit codes by which a shell says that a program is not there or may not be run."""

LAUNCH_FILE = "accelerate.json"
LAUNCHER_READS = ("ACCELERATE_", "DEEPSPEED_", "DS_", "FSDP_")
"""Variables that would change how a training is spread; a recipe says all of it."""


def main(arguments: list[str] | None = None) -> int:
    """Run `PLAN KEY`; returns the exit code."""
    plan_path, key = (arguments if arguments is not None else sys.argv[1:])[:2]
    try:
        plan = read_frozen(Path(plan_path))
        execute(plan, key)
    except (StudyError, OSError) as error:
        failure = attempts.failure_of(error, results_of_plan(Path(plan_path)))
        with contextlib.suppress(OSError):  # where the disk is full, the log cannot be written either
            print(f"error: {failure}", file=sys.stderr, flush=True)
        return failure.exit_code
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    return 0


def execute(plan: FrozenPlan, key: str) -> None:
    """Make one artifact of a frozen plan unless it is there, or is there when another run has made it."""
    folder = plan.folder(key)
    waiting = f"{key}: waits for {{}}, which is making it; end that process to make it here"
    with writer_lock(folder, wait=lambda holder: print(waiting.format(holder), flush=True)) as lock:
        if is_done(folder):
            print(f"{key}: done already")
            return
        log = attempts.begin(folder)
        try:
            _make(plan, key, folder, lock, log)
        except (StudyError, OSError, KeyboardInterrupt) as error:
            if isinstance(error, KeyboardInterrupt):  # while no stage was there to be told
                error = attempts.explain_exit(-signal.SIGINT, log)
            failure = attempts.failure_of(error, folder)
            with contextlib.suppress(OSError):
                attempts.note_failure(folder, failure)
            ending = attempts.read_ending(folder) or attempts.Ending(failure.what, failure.remedy)
            raise type(failure)(f"{key}: {ending.what}", ending.remedy.replace("\n", "\n    ")) from None
        attempts.succeed(folder)


def _make(plan: FrozenPlan, key: str, folder: Path, lock: int, log: Path) -> None:
    """One attempt at an artifact."""
    _check_inputs(plan, key)
    started = time.time()
    usage = _run_stage(plan, key, folder, lock, log)
    outcome = json.loads(facts_path(folder).read_text())
    write_record(folder, _record(plan, key, outcome, started, usage))


def _check_inputs(plan: FrozenPlan, key: str) -> None:
    """Refuse inputs that are not done, or whose files are gone or of another size."""
    for name in plan.input_keys(key):
        folder = plan.folder(name)
        if not is_done(folder):
            raise StageError(f"its input {name} is not done", f"Run `studyc why {name}`.")
        damage = find_damage(folder)
        if damage:
            remedy = f"Restore the file, or remove {record_path(folder)} so that it is made again."
            raise StageError(f"its input {name} is damaged: {damage}", remedy)


def _run_stage(plan: FrozenPlan, key: str, folder: Path, lock: int, log: Path) -> dict[str, float]:
    """Run the stage's process to its end; returns its processor seconds and peak memory."""
    job_file = job_path(folder)
    for stale in (facts_path(folder), progress_path(folder)):
        stale.unlink(missing_ok=True)
    job_file.write_text(json.dumps(plan.job(key), indent=1))
    with log.open("wb") as copy:
        child = _start_warm(plan, key, job_file, lock) or _start_cold(plan, key, job_file, lock)
        code = _tee(child, copy)
    if code in NOT_STARTED:
        raise _no_interpreter(plan, key, *attempts.last_words(log, lines=1))
    if code != 0 or not facts_path(folder).exists():
        raise attempts.explain_exit(code, log)
    if isinstance(child, WarmChild):
        return {**child.usage, "warm_start": True}
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {
        "cpu_seconds": round(children.ru_utime + children.ru_stime, 3),
        "peak_mb": children.ru_maxrss // 1024,
        "warm_start": False,
    }


def _start_warm(plan: FrozenPlan, key: str, job_file: Path, lock: int) -> WarmChild | None:
    """A fork of the warm server, for a CPU job of our own interpreter; None: start cold."""
    ours = plan.site.interpreter(plan.environment(key)) == (sys.executable, "")
    if not ours or not is_heavy(plan.stage(key), plan.inputs(key)):
        return None
    if plan.config(key).get("gpus", 0) or _is_launched(plan, key):
        return None
    environment = plan.site.stage_environment(plan.code)
    return start_job("pipeline.backend.stage_process", [str(job_file)], environment, plan.code, lock)


def _start_cold(plan: FrozenPlan, key: str, job_file: Path, lock: int) -> subprocess.Popen[bytes]:
    kind, environment = subprocess.Popen, plan.site.stage_environment(plan.code)
    if _is_launched(plan, key):
        kind, environment = (
            _Launcher,
            {k: v for k, v in environment.items() if not k.startswith(LAUNCHER_READS)},
        )
        _write_launch_file(plan, key, job_file.with_name(LAUNCH_FILE))
    try:
        return kind(
            _command(plan, key, job_file),
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            pass_fds=(lock,),
            preexec_fn=_begin_child if platform.system() == "Linux" else None,
        )
    except OSError as error:
        raise _no_interpreter(plan, key, str(error.strerror)) from None


def _no_interpreter(plan: FrozenPlan, key: str, *why: str) -> StageError:
    """A stage's interpreter that cannot be started, here or behind the environment's set-up line."""
    name = plan.environment(key)
    what = ": ".join(
        [f"the Python of environment {name!r} does not start: {plan.site.interpreter(name)[0]}", *why]
    )
    made_by = {"training": "make env", "vllm": "make env-vllm"}[name]
    return StageError(
        what,
        f"Set it up (`{made_by}`), or name one that is there under `environments: {{{name}: {{python: …}}}}` in the site file.",
    )


def _processes(plan: FrozenPlan, key: str) -> int:
    """Processes of an artifact's training; 1 for every other stage."""
    config = plan.config(key) if plan.stage(key) in LAUNCHED else {}
    return config.get("gpus", 0) or config.get("cpu_processes", 1)


def _is_launched(plan: FrozenPlan, key: str) -> bool:
    """Whether accelerate starts the stage: several processes, or DeepSpeed, which wants a launcher for one, too."""
    return _processes(plan, key) > 1 or _deepspeed(plan, key) != "none"


def _deepspeed(plan: FrozenPlan, key: str) -> str:
    return plan.config(key).get("deepspeed", "none") if plan.stage(key) in LAUNCHED else "none"


def _command(plan: FrozenPlan, key: str, job_file: Path) -> list[str]:
    """The stage's process; a training in several is started by accelerate, one process per GPU."""
    words = ["-m", "pipeline.backend.stage_process", str(job_file)]
    if _is_launched(plan, key):
        engine = "--multi_gpu" if _deepspeed(plan, key) == "none" else "--use_deepspeed"
        options = {
            "--config_file": str(job_file.with_name(LAUNCH_FILE)),
            "--num_machines": "1",
            "--num_processes": str(_processes(plan, key)),
            "--main_process_port": "0",  # a free one: two trainings may share a machine
            "--mixed_precision": "no",  # the stage's own arguments decide
            "--dynamo_backend": "no",
        }
        chosen = [word for option in options.items() for word in option]
        words = ["-m", "accelerate.commands.launch", engine, *chosen, *words]
    return plan.site.command(plan.environment(key), words)


def _write_launch_file(plan: FrozenPlan, key: str, path: Path) -> None:
    """accelerate's own file, so that what a person once told `accelerate config` never applies."""
    is_plain = _deepspeed(plan, key) == "none"
    values = {
        "compute_environment": "LOCAL_MACHINE",
        "distributed_type": "MULTI_GPU" if is_plain else "DEEPSPEED",
        "num_processes": _processes(plan, key),
        "use_cpu": False,  # the stage decides; said here, accelerate would not know DeepSpeed
        "mixed_precision": "no",
        "debug": False,
    }
    path.write_text(json.dumps(values))


class _Launcher(subprocess.Popen):
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


def _tee(child: subprocess.Popen[bytes] | WarmChild, copy: Any) -> int:
    """Copy a child's output to ours and to a file; pass signals on; return its exit code."""
    previous = {number: signal.signal(number, lambda n, _: child.send_signal(n)) for number in PASSED_ON}
    try:
        while block := child.stdout.read1(1 << 16):
            for stream in (sys.stdout.buffer, copy):
                with contextlib.suppress(
                    OSError
                ):  # a full disk or a reader that left: no reason to end the stage
                    stream.write(block)
                    stream.flush()
        return child.wait()
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _record(
    plan: FrozenPlan, key: str, outcome: Mapping[str, Any], started: float, usage: Mapping[str, float]
) -> dict[str, Any]:
    finished = time.time()
    return {
        "key": key,
        **plan.identity(key),
        "config": plan.config(key),
        "inputs": plan.inputs(key),
        "title": plan.title(key),
        "facts": outcome["facts"],
        "seconds": round(finished - started, 3),
        "usage": usage,
        "provenance": {
            "commit": plan.commit,
            "plan": plan.fingerprint,
            "packages": outcome["packages"],
            "host": socket.gethostname(),
            "machine": platform.machine(),
            "python": platform.python_version(),
            "gpus": outcome["facts"].get("gpu", "none") if isinstance(outcome["facts"], dict) else "none",
            "slurm_job": os.environ.get("SLURM_JOB_ID", ""),
            "started": _iso(started),
            "finished": _iso(finished),
        },
    }


def _iso(seconds: float) -> str:
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).isoformat(timespec="seconds")


if __name__ == "__main__":
    sys.exit(main())
