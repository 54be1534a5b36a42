"""A tiny policy that guesses, for all stages that ask a policy."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.guesser import make_guesser


@pytest.fixture(scope="session")
def guesser(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a policy artifact, trained for a second on random digits."""
    return make_guesser(tmp_path_factory)
