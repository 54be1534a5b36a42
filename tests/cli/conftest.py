"""A folder in which a user stands."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.studies import BASIC


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A new folder with the basic study in it, as the current one."""
    (tmp_path / "study.yaml").write_text(BASIC)
    monkeypatch.chdir(tmp_path)
    return tmp_path
