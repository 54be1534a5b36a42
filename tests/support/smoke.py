"""Fixtures: the smoke study, run once for all workflow tests of one worker."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.project import ROOT, make_project, snakemake

SMOKE = (ROOT / "specs" / "smoke.yaml").read_text()


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A project whose smoke study was run by plain Snakemake, and what Snakemake printed; do not change it."""
    project = make_project(tmp_path_factory.mktemp("finished") / "project", {"smoke.yaml": SMOKE})
    return project, snakemake(project, "--cores", "2")


@pytest.fixture
def project(finished: tuple[Path, str], tmp_path: Path) -> Path:
    """A copy of the finished project that a test may change."""
    return make_project(tmp_path / "project", {"smoke.yaml": SMOKE}, results=finished[0] / "results")
