"""One process at a time writes an artifact, and everybody can see that one does."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.errors import RefusedError
from pipeline.store import lock
from pipeline.store.lock import is_locked, writer_lock

HOLD = "import sys, time; from pathlib import Path; from pipeline.store.lock import writer_lock\n" + (
    "with writer_lock(Path(sys.argv[1])):\n    print('held', flush=True)\n    time.sleep(float(sys.argv[2]))\n"
)


def hold(folder: Path, seconds: float) -> subprocess.Popen[str]:
    """A process that holds the lock for so long; it does when this returns."""
    root = str(Path(__file__).resolve().parents[2])
    words = [sys.executable, "-c", HOLD, str(folder), str(seconds)]
    holder = subprocess.Popen(
        words, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": root}
    )
    assert holder.stdout is not None and holder.stdout.readline() == "held\n"
    return holder


def test_a_lock_is_seen_while_it_is_held_and_never_before_or_after(tmp_path: Path) -> None:
    folder = tmp_path / "sft" / "key"
    assert not is_locked(folder)
    with writer_lock(folder):
        assert is_locked(folder)
    assert not is_locked(folder)


def test_a_second_writer_is_refused_and_told_who_holds_it(tmp_path: Path) -> None:
    holder = hold(tmp_path, 60)
    try:
        with pytest.raises(RefusedError, match=f"process {holder.pid} on "), writer_lock(tmp_path):
            pass
    finally:
        holder.kill()
        holder.wait()


def test_a_lock_goes_with_its_holder_on_kill_9(tmp_path: Path) -> None:
    holder = hold(tmp_path, 60)
    assert is_locked(tmp_path)
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert not is_locked(tmp_path)
    with writer_lock(tmp_path):
        assert is_locked(tmp_path)


def test_who_waits_gets_the_lock_when_it_is_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "WAIT_SECONDS", 0.05)
    holder = hold(tmp_path, 1.5)
    told: list[str] = []
    with writer_lock(tmp_path, wait=told.append):
        assert holder.wait(timeout=10) == 0
    assert [words.partition(" on ")[0] for words in told] == [f"process {holder.pid}"]


def test_looking_at_a_lock_keeps_nobody_out(tmp_path: Path) -> None:
    (tmp_path / ".lock").touch()
    assert not any(is_locked(tmp_path) for _ in range(50))
    with writer_lock(tmp_path):
        pass


def test_a_file_system_without_locks_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(RefusedError, match="gives no locks: Function not implemented"), writer_lock(tmp_path):
        pass
    assert not is_locked(tmp_path)
