"""Where Snakefile, profiles, the default site file and interpreters are, in a clone and elsewhere."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from pipeline import project
from pipeline.site import default_site_file, read_site
from tests.support import ROOT


@pytest.fixture
def away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder outside a clone, and one that stands for what came with studyc."""
    (tmp_path / "shipped" / "profiles" / "slurm").mkdir(parents=True)
    (tmp_path / "shipped" / "envs").mkdir()
    (tmp_path / "shipped" / "envs" / "site.yaml").write_text(
        "environments: {vllm: {python: .venv-vllm/bin/python}}\n"
    )
    (tmp_path / "here").mkdir()
    monkeypatch.setattr(project, "FILES", tmp_path / "shipped")
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


def make_clone_of(folder: Path) -> None:
    (folder / "Snakefile").touch()
    (folder / "pipeline" / "backend").mkdir(parents=True)


def test_this_clone_is_a_project_and_has_the_files_beside_the_package() -> None:
    assert project.is_project(ROOT) and not project.IS_INSTALLED
    assert project.FILES == ROOT
    assert not project.is_project(ROOT / "pipeline")


def test_snakemake_is_told_of_our_snakefile_where_there_is_none_of_ours(away: Path) -> None:
    (away / "Snakefile").touch()  # another workflow's
    assert project.snakefile_words() == ["--snakefile", str(project.FILES / "Snakefile")]
    (away / "pipeline" / "backend").mkdir(parents=True)
    assert project.snakefile_words() == []


def test_a_profile_here_goes_before_the_one_that_came_with_studyc(away: Path) -> None:
    shipped = project.FILES / "profiles" / "slurm"
    assert project.find_profile("slurm") == project.find_profile("profiles/slurm") == shipped
    (away / "slurm").mkdir()
    assert project.find_profile("slurm") == Path("slurm")
    assert project.find_profile("mine") is None  # one that only Snakemake knows


def test_the_site_file_here_goes_before_the_one_that_came_with_studyc(away: Path) -> None:
    assert default_site_file() == project.FILES / "envs" / "site.yaml"
    (away / "envs").mkdir()
    (away / "envs" / "site.yaml").write_text("threads: 3\n")
    assert default_site_file() == Path("envs/site.yaml")
    assert read_site({}).threads == 3


def test_outside_a_clone_what_make_would_have_made_is_our_own_interpreter(away: Path) -> None:
    assert read_site({}).interpreter("vllm") == (sys.executable, "")
    given = {
        "threads": 1,
        "environments": {"training": {"python": ".venv/bin/python", "setup": "module load x"}},
    }
    assert read_site(given).interpreter("training") == (sys.executable, "module load x")


def test_outside_a_clone_the_environments_of_the_clone_that_we_run_from_are_used(away: Path) -> None:
    made = project.FILES / ".venv-vllm" / "bin" / "python"
    made.parent.mkdir(parents=True)
    made.touch()
    assert read_site({}).interpreter("vllm") == (str(made), "")
    (away / ".venv-vllm" / "bin").mkdir(parents=True)
    (away / ".venv-vllm" / "bin" / "python").touch()
    assert read_site({}).interpreter("vllm") == (str(away / ".venv-vllm/bin/python"), "")


def test_an_interpreter_that_a_user_names_is_never_replaced(away: Path) -> None:
    given = {"environments": {"vllm": {"python": "envs/mine/bin/python"}}}
    assert read_site(given).interpreter("vllm") == (str(away / "envs/mine/bin/python"), "")


def test_in_a_clone_a_missing_environment_stays_named_so_that_its_stages_say_what_is_missing(
    away: Path,
) -> None:
    make_clone_of(away)
    assert read_site({}).interpreter("vllm") == (str(away / ".venv-vllm/bin/python"), "")
