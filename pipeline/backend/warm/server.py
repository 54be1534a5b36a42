"""A process that has imported torch and TRL once and forks each CPU job of this machine from itself.

Importing them takes 5–8 seconds of processor time; a study of small models on a CPU starts dozens of such jobs.
Run as a file, not as a module, so that nothing of `pipeline` is imported here: each job imports the package
from its own plan's snapshot. `pipeline.backend.warm.client` starts it and talks to it.

Guaranteed: a job's process has the environment, folder, output and locks of the one that asked; it ends with
it, and everything ends with the process that started the server. Never used for GPU jobs (a driver does not survive a fork).
"""

from __future__ import annotations

import array
import atexit
import contextlib
import ctypes
import json
import os
import runpy
import select
import signal
import socket
import sys
import traceback
from typing import Any

PRELOADED = ("torch", "datasets", "transformers", "peft", "trl")
CLASSES = (
    ("trl", ("SFTTrainer", "GRPOTrainer", "RLOOTrainer")),
    ("transformers", ("AutoModelForCausalLM", "AutoTokenizer", "Qwen2ForCausalLM", "Qwen2Tokenizer")),
)
"""These libraries import a class's module when it is first asked for."""

MAX_DESCRIPTORS = 2
_PR_SET_PDEATHSIG = 1


def main(path: str) -> None:
    """Import, listen at `path`, serve until the parent is gone."""
    parent = os.getppid()
    _end_with_parent(parent)
    _preload()
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(path)
    listener.listen(64)
    listener.settimeout(1.0)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for supervisors
    signal.signal(
        signal.SIGINT, signal.SIG_IGN
    )  # Ctrl-C is for Snakemake, which decides what becomes of its jobs
    while os.getppid() == parent:
        try:
            connection, _ = listener.accept()
        except TimeoutError:
            continue
        if os.fork() == 0:
            listener.close()
            _supervise(connection)
        connection.close()


def _preload() -> None:
    for name in PRELOADED:
        with contextlib.suppress(ImportError):
            __import__(name)
    for name, classes in CLASSES:
        for wanted in classes:
            with contextlib.suppress(ImportError, AttributeError):
                getattr(sys.modules.get(name), wanted)


def _end_with_parent(parent: int) -> None:
    """Have the kernel kill us when our parent ends, also when it has ended already."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def _supervise(connection: socket.socket) -> None:
    """Start one job, pass signals on to it, kill it where its owner is gone, report how it ended."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    request, descriptors = _receive(connection)
    supervisor = os.getpid()
    job = os.fork()
    if job == 0:
        connection.close()
        _end_with_parent(supervisor)
        _become(request, descriptors)
    for descriptor in descriptors:
        os.close(descriptor)
    ended = os.pidfd_open(job)
    while True:
        ready, _, _ = select.select([connection.fileno(), ended], [], [])
        if ended in ready:
            break
        numbers = connection.recv(64)
        for number in numbers or bytes([signal.SIGKILL]):
            os.kill(job, number)
        if not numbers:
            break
    _, status, usage = os.wait4(job, 0)
    outcome = {
        "code": os.waitstatus_to_exitcode(status),
        "cpu_seconds": usage.ru_utime + usage.ru_stime,
        "peak_kilobytes": usage.ru_maxrss,
    }
    with contextlib.suppress(OSError):
        connection.sendall(json.dumps(outcome).encode())
    os._exit(0)


def _receive(connection: socket.socket) -> tuple[dict[str, Any], list[int]]:
    """One request: a line of JSON, with the descriptors of the output and of the lock."""
    space = socket.CMSG_SPACE(MAX_DESCRIPTORS * array.array("i").itemsize)
    data, descriptors = b"", array.array("i")
    while not data.endswith(b"\n"):
        block, ancillary, _, _ = connection.recvmsg(1 << 20, space)
        if not block:
            os._exit(0)
        data += block
        for _, _, sent in ancillary:
            descriptors.frombytes(sent[: len(sent) - len(sent) % descriptors.itemsize])
    return json.loads(data), list(descriptors)


def _become(request: dict[str, Any], descriptors: list[int]) -> None:
    """Turn this fork into the job's process; never returns."""
    code = 1
    try:
        output = descriptors[0]
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.close(output)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)
        os.environ.clear()
        os.environ.update(request["environment"])
        os.chdir(request["folder"])
        sys.path.insert(0, request["code"])
        sys.argv = [request["module"], *request["arguments"]]
        runpy.run_module(request["module"], run_name="__main__", alter_sys=True)
        code = 0
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:  # the job's last words, as the interpreter itself would print them
        traceback.print_exc()
    finally:
        with contextlib.suppress(BaseException):
            atexit._run_exitfuncs()
        with contextlib.suppress(BaseException):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    main(sys.argv[1])
