"""The lock of an artifact's folder."""

from __future__ import annotations

import errno
import fcntl
from pathlib import Path

import pytest

from pipeline.errors import RefusedError
from pipeline.plan.status import is_locked
from pipeline.store.record import writer_lock


def test_a_file_system_without_locks_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(RefusedError, match="gives no locks: Function not implemented"), writer_lock(tmp_path):
        pass
    assert not is_locked(tmp_path)
