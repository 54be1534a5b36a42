"""One job of the graph: lock, check inputs, run the stage under its environment, write the record.

`python -m pipeline.execute PLAN KEY` is the command of every rule. It reads the frozen plan, never the spec.
The stage runs in a child process (possibly several, through accelerate) whose output goes to this
process's own output and to `work/attempts/<n>.log`, which survives retries. Signals are passed on, so that a
preempted stage can save; if this process is killed, the child is killed with it by the kernel.
"""

from __future__ import annotations

import ctypes
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

from pipeline.errors import StageError, StudyError
from pipeline.plan.frozen import FrozenPlan, read_frozen
from pipeline.record import find_damage, is_done, write_record, writer_lock
from pipeline.warm import HEAVY, WarmChild, start_job

PASSED_ON = (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT)
LAUNCHED = ("sft", "rl")
"""Stages that train on several GPUs of one node."""

_PR_SET_PDEATHSIG = 1


def main(arguments: list[str] | None = None) -> int:
    """Run `PLAN KEY`; returns the exit code."""
    plan_path, key = (arguments if arguments is not None else sys.argv[1:])[:2]
    try:
        plan = read_frozen(Path(plan_path))
        execute(plan, key)
    except StudyError as error:
        print(f"error: {error}", file=sys.stderr, flush=True)
        return error.exit_code
    return 0


def execute(plan: FrozenPlan, key: str) -> None:
    """Make one artifact of a frozen plan unless it is there."""
    folder = plan.folder(key)
    with writer_lock(folder) as lock:
        if is_done(folder):
            print(f"{key}: done already")
            return
        _check_inputs(plan, key)
        (folder / "work").mkdir(exist_ok=True)
        started = time.time()
        usage = _run_stage(plan, key, folder, lock)
        outcome = json.loads((folder / "work" / "facts.json").read_text())
        write_record(folder, _record(plan, key, outcome, started, usage))


def _check_inputs(plan: FrozenPlan, key: str) -> None:
    """Refuse inputs that are not done, or whose files are gone or of another size."""
    for name in plan.input_keys(key):
        folder = plan.folder(name)
        if not is_done(folder):
            raise StageError(f"{key}: its input {name} is not done", f"Run `studyc why {name}`.")
        damage = find_damage(folder)
        if damage:
            remedy = f"Restore the file, or remove {folder / 'record.json'} so that it is made again."
            raise StageError(f"{key}: its input {name} is damaged: {damage}", remedy)


def _run_stage(plan: FrozenPlan, key: str, folder: Path, lock: int) -> dict[str, float]:
    """Run the stage's process to its end; returns its processor seconds and peak memory."""
    work = folder / "work"
    job_file = work / "job.json"
    for stale in ("facts.json", "failure.json", "progress.json"):
        (work / stale).unlink(missing_ok=True)
    job_file.write_text(json.dumps(plan.job(key), indent=1))
    attempt = _next_attempt(work)
    child = _start_warm(plan, key, job_file, lock) or _start_cold(plan, key, job_file, lock)
    with attempt.open("wb") as copy:
        code = _tee(child, copy)
    if code != 0:
        raise _failure(key, code, work, attempt)
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
    if not ours or plan.stage(key) not in HEAVY or plan.config(key).get("gpus", 0):
        return None
    environment = plan.site.stage_environment(plan.code)
    return start_job("pipeline.stage_process", [str(job_file)], environment, plan.code, lock)


def _start_cold(plan: FrozenPlan, key: str, job_file: Path, lock: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        _command(plan, key, job_file),
        env=plan.site.stage_environment(plan.code),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        pass_fds=(lock,),
        preexec_fn=_begin_child if platform.system() == "Linux" else None,
    )


def _command(plan: FrozenPlan, key: str, job_file: Path) -> list[str]:
    """The stage's process; a training on several GPUs is started by accelerate, one process per GPU."""
    processes = plan.config(key).get("gpus", 0) if plan.stage(key) in LAUNCHED else 0
    words = ["-m", "pipeline.stage_process", str(job_file)]
    if processes > 1:
        launcher = ["-m", "accelerate.commands.launch", "--multi_gpu", "--num_machines", "1"]
        words = [
            *launcher,
            "--num_processes",
            str(processes),
            "--dynamo_backend",
            "no",
            "--mixed_precision",
            "no",
            *words,
        ]
    return plan.site.command(plan.environment(key), words)


def _begin_child() -> None:
    """In the child, before it becomes the stage: end with us; a stage that minds SIGUSR1 says so itself."""
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _tee(child: subprocess.Popen[bytes] | WarmChild, copy: Any) -> int:
    """Copy a child's output to ours and to a file; pass signals on; return its exit code."""
    previous = {number: signal.signal(number, lambda n, _: child.send_signal(n)) for number in PASSED_ON}
    try:
        while block := child.stdout.read1(1 << 16):
            sys.stdout.buffer.write(block)
            sys.stdout.buffer.flush()
            copy.write(block)
            copy.flush()
        return child.wait()
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _next_attempt(work: Path) -> Path:
    attempts = work / "attempts"
    attempts.mkdir(exist_ok=True)
    return attempts / f"{len(list(attempts.glob('*.log'))) + 1:03d}.log"


def _failure(key: str, code: int, work: Path, log: Path) -> StageError:
    note = work / "failure.json"
    if note.exists():
        said = json.loads(note.read_text())
        return StageError(f"{key}: {said['what']}", f"{said['remedy']}\n    log: {log}".strip())
    if code < 0:
        name = signal.Signals(-code).name
        hint = " (often the kernel's answer to too little memory)" if -code == signal.SIGKILL else ""
        return StageError(
            f"{key}: killed by {name}{hint}", f"Run again: it resumes from its working files.\n    log: {log}"
        )
    return StageError(f"{key}: its process ended with exit code {code}", f"log: {log}")


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
