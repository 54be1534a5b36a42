"""The lock of an artifact's writer: one process at a time makes it, and others can see that it is being made.

The lock is the kernel's (flock): it vanishes with its holder, also on kill -9. Refused: file systems without locks.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from pipeline.errors import RefusedError
from pipeline.store.paths import lock_path

WAIT_SECONDS = 0.5


@contextlib.contextmanager
def writer_lock(folder: Path, wait: Callable[[str], None] | None = None) -> Iterator[int]:
    """Hold the only right to write an artifact. Where another process holds it: `wait` is told whom we wait for; else RefusedError.

    The lock is inherited by child processes that are given the yielded descriptor, so an orphan still keeps others out.
    """
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(lock_path(folder), os.O_RDWR | os.O_CREAT, 0o644)
    try:
        if not _take(descriptor):
            holder = os.pread(descriptor, 200, 0).decode(errors="replace").strip() or "another process"
            if wait is None:
                raise RefusedError(
                    f"{folder}: being written by {holder}",
                    "Wait for it to end, or end it; the lock goes with the process.",
                )
            wait(holder)
            while not _take(descriptor, tries=1):
                time.sleep(WAIT_SECONDS)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"process {os.getpid()} on {socket.gethostname()}".encode(), 0)
        yield descriptor
    finally:
        os.close(descriptor)


def is_locked(folder: Path) -> bool:
    """Whether a process holds the writer's lock of an artifact."""
    try:
        descriptor = os.open(lock_path(folder), os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return False
    except BlockingIOError:
        return True
    except OSError:  # no locks here; who writes is told so
        return False
    finally:
        os.close(descriptor)


def _take(descriptor: int, tries: int = 10) -> bool:
    """Take the lock; `is_locked` may hold it for a moment, so a few tries."""
    for left in reversed(range(tries)):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if left:
                time.sleep(0.1)
        except OSError as error:
            raise RefusedError(
                f"the file system of the results gives no locks: {error.strerror}",
                "Name a results folder on one that does (Lustre does where it is mounted with -o flock).",
            ) from None
    return False
