"""What all tests share: one thread per process, no network, caches of their own, golden files."""

from __future__ import annotations

import difflib
import os
from pathlib import Path

import pytest

from tests.support import ROOT

pytest_plugins = ["tests.support.smoke", "tests.support.stage_runs"]

GOLDEN = ROOT / "tests" / "golden"

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("HF_HUB_OFFLINE", "1")


def pytest_configure(config: pytest.Config) -> None:
    """One warm server for all workflow runs of the session; its jobs are those of any `studyc run`."""
    named = {Path(word.split("::")[0]).name for word in config.args}
    if not hasattr(config, "workerinput") and named & {
        "tests",
        "backend",
        "house",
        "workflow",
        "test_readme.py",
    }:
        from pipeline.backend.warm.client import start_server
        from pipeline.site import Site

        start_server(Site().stage_environment(ROOT))


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Digests of local files are remembered per test, never in the user's home."""
    monkeypatch.setenv("STUDYC_CACHE", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def golden(request: pytest.FixtureRequest):
    """Compare a text with a golden file; STUDYC_UPDATE_GOLDEN=1 writes it instead (look at the diff!)."""

    def check(name: str, text: str) -> None:
        path = GOLDEN / name
        if os.environ.get("STUDYC_UPDATE_GOLDEN"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            return
        expected = path.read_text() if path.exists() else ""
        if text != expected:
            lines = difflib.unified_diff(
                expected.splitlines(), text.splitlines(), f"golden/{name}", "now", lineterm=""
            )
            pytest.fail(
                "\n".join(["the text differs; STUDYC_UPDATE_GOLDEN=1 accepts it:", *lines]), pytrace=False
            )

    return check
