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
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

from pipeline.backend.launch import NOT_STARTED, Child, refuse_interpreter, start_stage
from pipeline.backend.warm.client import WarmChild
from pipeline.errors import StageError, StudyError
from pipeline.plan.frozen import FrozenPlan, read_frozen
from pipeline.store import attempts
from pipeline.store.lock import writer_lock
from pipeline.store.paths import facts_path, job_path, progress_path, record_path, results_of_plan
from pipeline.store.record import find_damage, is_done, write_record

PASSED_ON = (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT)


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
    for name in plan.artifact(key).input_keys:
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
        child = start_stage(plan, key, job_file, lock)
        code = _tee(child, copy)
    if code in NOT_STARTED:
        raise refuse_interpreter(plan, plan.placement(key).environment, *attempts.last_words(log, lines=1))
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


def _tee(child: Child, copy: BinaryIO) -> int:
    """Copy a child's output to ours and to a file; pass signals on; return its exit code."""
    assert child.stdout is not None, "a stage's output is piped"
    output = child.stdout.fileno()
    previous = {number: signal.signal(number, lambda n, _: child.send_signal(n)) for number in PASSED_ON}
    try:
        while block := os.read(output, 1 << 16):
            for stream in (sys.stdout.buffer, copy):
                # a full disk or a reader that left: no reason to end the stage
                with contextlib.suppress(OSError):
                    stream.write(block)
                    stream.flush()
        return child.wait()
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _record(
    plan: FrozenPlan, key: str, outcome: Mapping[str, Any], started: float, usage: Mapping[str, float]
) -> dict[str, Any]:
    finished, artifact = time.time(), plan.artifact(key)
    return {
        "key": key,
        **plan.identity(key),
        "config": plan.settled(key).config,
        "inputs": artifact.inputs,
        "title": artifact.title,
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
