"""Attempts at an artifact: the log of each, and how the last one ended where it left no record.

Each attempt has a log of its output; a note says why the last one failed and what to do. A process that is killed
cannot say anything: an attempt with a log, no record and no note ended without a word.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import signal
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import StageError, StudyError
from pipeline.store.atomic import move_file, scratch_path
from pipeline.store.paths import attempts_path, failure_path, failure_reserve_path, work_path

RESERVED_BYTES = 4096
NO_SPACE = (
    "No space left on device",
    "Disk quota exceeded",
    "unexpected pos ",
    "basic_ios::clear: iostream error",
)
"""What a full disk is called by the system, by safetensors, and (the last two) by torch.save."""

RESUMES = "Run again: it resumes from its working files."
_ASKED_TO_STOP = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1)


@dataclass(frozen=True)
class Ending:
    """How an attempt ended without a record, and what to do about it."""

    what: str
    remedy: str


def begin(folder: Path) -> Path:
    """Begin an attempt at an artifact: forget how the last one ended; returns where this one's log goes.

    The note of a failure gets its place on the disk now: when the disk is full there is none.
    """
    work_path(folder).mkdir(exist_ok=True)
    logs = attempts_path(folder)
    logs.mkdir(exist_ok=True)
    failure_reserve_path(folder).write_bytes(b" " * RESERVED_BYTES)
    failure_path(folder).unlink(missing_ok=True)
    log = logs / f"{len(list(logs.glob('*.log'))) + 1:03d}.log"
    log.touch()
    return log


def succeed(folder: Path) -> None:
    """End an attempt that left a record: it needs no place for a note."""
    failure_reserve_path(folder).unlink(missing_ok=True)


def note_failure(folder: Path, error: StudyError) -> None:
    """Leave word of a failure, unless somebody has: of several processes the first says why, the others lost it."""
    if failure_path(folder).exists():
        return
    said = {"kind": type(error).__name__, "what": error.what, "remedy": error.remedy}
    mine = scratch_path(failure_path(folder))
    with contextlib.suppress(FileNotFoundError):
        move_file(failure_reserve_path(folder), mine)
    descriptor = os.open(mine, os.O_WRONLY | os.O_CREAT, 0o644)
    try:
        os.pwrite(descriptor, json.dumps(said).encode().ljust(RESERVED_BYTES), 0)
    finally:
        os.close(descriptor)
    move_file(mine, failure_path(folder))


def read_ending(folder: Path) -> Ending | None:
    """How the last attempt at an artifact ended; None where there was none. (Of no use while one is going on.)"""
    log = newest_log(folder)
    where = f"log: {log}" if log and log.stat().st_size else ""
    try:
        said = json.loads(failure_path(folder).read_text())
        return Ending(said["what"], "\n".join(filter(None, [said["remedy"], where])))
    except (OSError, ValueError, KeyError):
        pass
    if log is None:
        return None
    return Ending(
        "ended without a word: killed with what watched it (kill -9, out of memory, a time limit, the machine's end)",
        "\n".join(filter(None, [RESUMES, where])),
    )


def newest_log(folder: Path) -> Path | None:
    """The log of the last attempt at an artifact."""
    return max(attempts_path(folder).glob("*.log"), default=None)


def explain_exit(code: int, log: Path) -> StageError:
    """What the exit code of a stage's process says, where the process itself said nothing."""
    if code > 128 and code - 128 in signal.valid_signals():  # as shells and containers pass it on
        code = 128 - code
    if code < 0:
        number = signal.Signals(-code)
        if number in _ASKED_TO_STOP:
            return StageError(f"stopped by {number.name}", RESUMES)
        if number == signal.SIGKILL:
            return StageError("killed by SIGKILL (often the kernel's answer to too little memory)",
                              f"{RESUMES} If memory was short, give it more: fewer jobs at once, `mem_mb` of the stage in the site file, or a smaller micro-batch.")  # fmt: skip
        return StageError(f"crashed with {number.name}", RESUMES)
    words = last_words(log, lines=1)
    if words == ("KeyboardInterrupt",):  # while Python itself was starting
        return explain_exit(-signal.SIGINT, log)
    return StageError(
        ": ".join([f"its process ended with exit code {code}", *words]), "The log has the rest."
    )


def last_words(log: Path | None, lines: int = 5) -> tuple[str, ...]:
    """The last lines of a log that are not blank."""
    if log is None:
        return ()
    try:
        text = log.read_bytes()[-4_000:].decode(errors="replace").replace("\r", "\n")
    except OSError:
        return ()
    return tuple(line[:200] for line in text.splitlines() if line.strip())[-lines:]


def is_full(error: BaseException) -> bool:
    """Whether an error says that there is no space left, or that a quota is used up."""
    full = (errno.ENOSPC, errno.EDQUOT)
    return getattr(error, "errno", None) in full or any(text in str(error) for text in NO_SPACE)


def failure_of(error: StudyError | OSError, folder: Path) -> StudyError:
    """An error as a message: what the system says of our files is one without a traceback, too."""
    if isinstance(error, StudyError):
        return error
    if is_full(error):
        return out_of_space(folder)
    refused = error.errno in (errno.EACCES, errno.EPERM, errno.EROFS)
    remedy = (
        "Let this user write there, or name another results folder." if refused else "Look after that disk."
    )
    return StageError(f"{error.filename or folder}: {error.strerror or error}", f"{remedy} Then run again.")


def out_of_space(folder: Path | str) -> StageError:
    """The message for a full disk."""
    what = f"no space left on device while writing {folder}"
    return StageError(
        what, "Free some space (or quota) and run again; finished work and working files are kept."
    )
