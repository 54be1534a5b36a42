"""Warm starts: CPU jobs of this machine are forked from one process that has torch and TRL imported already.

The server (`server.py`) belongs to the Snakemake process that started it and ends with it. Where there is
none, or it is not ready, or a job needs another interpreter or a GPU, jobs start cold; results are the same.
"""

from __future__ import annotations

import array
import atexit
import contextlib
import hashlib
import json
import os
import platform
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

VARIABLE = "STUDYC_WARM"
"""Where the server listens; set for the jobs of the Snakemake process that started it."""

READ_AT_IMPORT = (
    "ACCELERATE", "CUDA", "DATASETS", "HF_", "HOME", "HUGGINGFACE", "LD_", "MKL_", "NUMEXPR", "OMP_", "OPENBLAS",
    "TOKENIZERS", "TORCH", "TRANSFORMERS", "TRL", "XDG_",
)  # fmt: skip

WORTHWHILE = 4
"""Heavy jobs from which a server saves more than its own start costs."""


class WarmChild:
    """A job that runs in a fork of the server; used like a subprocess.Popen with piped output."""

    def __init__(self, connection: socket.socket, output: int) -> None:
        self._connection = connection
        self.stdout = os.fdopen(output, "rb")
        self.usage: dict[str, float] = {}

    def send_signal(self, number: int) -> None:
        """Pass a signal on to the job, unless it has ended."""
        with contextlib.suppress(OSError):
            self._connection.sendall(bytes([number]))

    def wait(self) -> int:
        """The job's exit code (negative: killed by that signal), after the end of its output."""
        data = b""
        while block := self._connection.recv(4096):
            data += block
        self._connection.close()
        if not data:
            return -signal.SIGKILL
        outcome = json.loads(data)
        self.usage = {
            "cpu_seconds": round(outcome["cpu_seconds"], 3),
            "peak_mb": outcome["peak_kilobytes"] // 1024,
        }
        code: int = outcome["code"]
        return code


def _socket_name(environment: Mapping[str, str]) -> str:
    """A name made of every variable that libraries may read when they are imported: another set, another server."""
    matters = sorted(
        f"{k}={v}" for k, v in environment.items() if k.startswith(READ_AT_IMPORT) and "TOKEN" not in k[-6:]
    )
    return hashlib.sha256("\0".join(matters).encode()).hexdigest()[:12]


def start_server(environment: Mapping[str, str]) -> None:
    """Start a server that ends with this process, and name it to our jobs; it is ready after some seconds."""
    if platform.system() != "Linux" or os.environ.get(VARIABLE):
        return
    folder = Path(tempfile.mkdtemp(prefix="studyc-warm-"))
    path = folder / _socket_name(environment)
    script = Path(__file__).with_name("server.py")
    server = subprocess.Popen(
        [sys.executable, "-P", str(script), str(path)],
        env={**environment, "PYTHONPATH": ""},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.environ[VARIABLE] = str(folder)
    atexit.register(_stop, server, folder)


def _stop(server: subprocess.Popen[bytes], folder: Path) -> None:
    os.environ.pop(VARIABLE, None)
    server.kill()
    server.wait()
    shutil.rmtree(folder, ignore_errors=True)


def start_job(
    module: str, arguments: list[str], environment: Mapping[str, str], code: Path, lock: int
) -> WarmChild | None:
    """Start `python -m MODULE ARGUMENTS` in a fork of the server; None where it has to start cold."""
    if not os.environ.get(VARIABLE):
        return None
    path = str(Path(os.environ[VARIABLE]) / _socket_name(environment))
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.connect(path)
    except OSError:
        connection.close()
        return None
    request = {
        "module": module,
        "arguments": arguments,
        "environment": dict(environment),
        "folder": str(Path.cwd()),
        "code": str(code.absolute()),
    }
    output, theirs = os.pipe()
    message = json.dumps(request).encode() + b"\n"
    descriptors = array.array("i", [theirs, lock])
    sent = connection.sendmsg([message], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, descriptors)])
    connection.sendall(message[sent:])
    os.close(theirs)
    return WarmChild(connection, output)
