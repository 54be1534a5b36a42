"""The README's promises: its spec compiles, its commands run, what it shows is what they print."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.cli.main import main
from tests.support import ROOT
from tests.support.project import environment, make_project

TEXT = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```console\n(.*?)```", TEXT, flags=re.DOTALL)
SPEC = re.search(r"```yaml\n(study: first\n.*?)```", TEXT, flags=re.DOTALL)[1]


def commands() -> list[tuple[str, str]]:
    """Each `$ command` of the README with the lines shown below it."""
    found = []
    for block in BLOCKS:
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, shown = part.partition("\n")
            found.append((command.split("  #")[0].strip(), shown.rstrip()))
    return found


def test_the_spec_on_the_first_screen_is_valid_and_short(tmp_path: Path, capsys) -> None:
    path = tmp_path / "first.yaml"
    path.write_text(SPEC)
    assert main(["check", str(path)]) == 0
    assert len(SPEC.splitlines()) <= 17
    assert "6 cells × 3 replicates" in capsys.readouterr().out


def test_the_first_screen_has_one_figure_that_is_there() -> None:
    images = re.findall(r"!\[.*?\]\((.*?)\)", TEXT)
    assert images and all((ROOT / image).stat().st_size > 5_000 for image in images)


def test_every_relative_link_leads_somewhere() -> None:
    for target in re.findall(r"\]\((?!http)([^)#]+)", TEXT):
        assert (ROOT / target).exists(), target


LIGHT = [c for c in commands() if c[0].startswith("studyc") and not c[0].startswith("studyc run")]
HEAVY = [c for c in commands() if c not in LIGHT]


@pytest.mark.parametrize(("command", "shown"), LIGHT, ids=[c for c, _ in LIGHT])
def test_a_command_runs_and_prints_what_is_shown(command: str, shown: str, tmp_path: Path) -> None:
    project = make_project(tmp_path / "p", {p.name: p.read_text() for p in (ROOT / "specs").glob("*.yaml")})
    words = shlex.split(command)
    done = subprocess.run(
        [sys.executable, "-m", "pipeline", *words[1:]],
        cwd=project,
        env=environment(),
        capture_output=True,
        text=True,
    )
    assert done.returncode in (0, 3), done.stderr
    if shown:
        assert done.stdout.rstrip() == shown


@pytest.mark.xdist_group("workflow")
@pytest.mark.parametrize("command", [c for c, _ in HEAVY])
def test_a_command_that_trains_is_run_on_the_smoke_study(command: str, finished, tmp_path: Path) -> None:
    """The same command with the smoke study in the demo's place, on results where one training is left to do."""
    text = (ROOT / "specs" / "smoke.yaml").read_text().replace("alpha: 4", "alpha: 9")
    project = make_project(tmp_path / "p", {"demo.yaml": text}, results=finished[0] / "results")
    (project / "Makefile").symlink_to(ROOT / "Makefile")
    (project / "pyproject.toml").symlink_to(ROOT / "pyproject.toml")
    command = re.sub(r"^make ", f"make VENV={sys.prefix} ", command.replace("--profile slurm", "--cores 2"))
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        command, shell=True, cwd=project, env={**environment(), "PATH": path}, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:]
    assert (
        "report of smoke: " in done.stdout
        or "Nothing to be done" in done.stdout
        or "steps (100%) done" in done.stdout
    )
