"""A process ends with the one that started it, even when that one is killed."""

from __future__ import annotations

import ctypes
import os
import platform
import signal

_PR_SET_PDEATHSIG = 1


def end_with_parent(parent: int | None = None) -> None:
    """From now on, die when the parent does (Linux; elsewhere the process learns it from its pipes).

    `parent` is the process id to expect: where another one is found, the parent is gone already.
    """
    if platform.system() != "Linux":
        return
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if parent is not None and os.getppid() != parent:
        os._exit(1)
