"""What `pip install studyc` gives, in bare environments and in folders outside the clone (`make test-install`)."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from pipeline import __version__
from tests.support import ROOT

pytestmark = pytest.mark.install

SMOKE = (ROOT / "specs" / "smoke.yaml").read_text()
WITHOUT_TORCH = {"source", "filter", "mix", "subset"}


def call(command: list[str | Path], folder: Path, *, expect: int = 0) -> subprocess.CompletedProcess[str]:
    """Run a command as a user's shell would, who knows nothing of the clone."""
    ours = ("PYTHON", "PYTEST", "STUDYC_", "VIRTUAL_ENV")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    environment = {
        **kept,
        "OMP_NUM_THREADS": "1",
        "HF_HUB_OFFLINE": "1",
        "STUDYC_CACHE": str(folder / ".cache"),
    }
    done = subprocess.run(
        [str(word) for word in command],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert done.returncode == expect, (
        f"{command}: {done.returncode}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    )
    assert "Traceback" not in done.stderr
    return done


class Environment:
    """A virtual environment of its own, with a wheel and some extras."""

    def __init__(self, folder: Path, wheel: Path, extras: str = "") -> None:
        self.folder = folder
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        call([folder / "bin/python", "-m", "pip", "install", "-q", f"{wheel}{extras}"], folder)

    def studyc(self, folder: Path, words: str, *, expect: int = 0) -> subprocess.CompletedProcess[str]:
        """Run one of its commands in a folder."""
        return call([self.folder / "bin/studyc", *shlex.split(words)], folder, expect=expect)

    def borrow(self, packages: str) -> None:
        """Let it find further packages in another environment, after its own."""
        (site,) = self.folder.glob("lib/python3*/site-packages")
        (site / "borrowed.pth").write_text(f"{packages}\n")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this clone."""
    folder = tmp_path_factory.mktemp("wheel")
    call([sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", folder, ROOT], folder)
    (found,) = folder.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def bare(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """The base installation."""
    return Environment(tmp_path_factory.mktemp("bare") / "venv", wheel)


@pytest.fixture
def away(tmp_path: Path) -> Path:
    """A folder of a user's, with specs/ and things that are called as ours are."""
    (tmp_path / "specs").mkdir()
    (tmp_path / "specs" / "smoke.yaml").write_text(SMOKE)
    (tmp_path / "Snakefile").write_text('raise Exception("this is another workflow")\n')
    (tmp_path / "pipeline").mkdir()
    (tmp_path / "pipeline" / "__init__.py").write_text('raise ImportError("this is another package")\n')
    return tmp_path


def test_the_wheel_has_what_snakemake_reads_and_says_that_it_is_typed(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    assert f"-{__version__}-" in wheel.name
    assert "pipeline/py.typed" in names
    inside = {name.removeprefix("pipeline/project_files/") for name in names if "/project_files/" in name}
    here = [
        ROOT / "Snakefile",
        *(p for d in ("rules", "profiles", "envs") for p in (ROOT / d).rglob("*") if p.is_file()),
    ]
    assert inside == {str(path.relative_to(ROOT)) for path in here}
    assert not [name for name in names if not name.startswith(("pipeline/", "studyc-"))]


def test_the_base_checks_plans_explains_verifies_and_reports(bare: Environment, away: Path) -> None:
    assert bare.studyc(away, "--version").stdout == f"studyc {__version__}\n"
    assert "specs/smoke.yaml: valid" in bare.studyc(away, "check specs/smoke.yaml").stdout
    planned = bare.studyc(away, "plan specs/smoke.yaml")
    in_clone = subprocess.run(
        [sys.executable, "-m", "pipeline", "plan", "specs/smoke.yaml", "--results", away / "results"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert planned.stdout == in_clone.stdout
    assert planned.stderr == f"no results here ({away}/results): everything counts as not done\n"
    assert "waiting" in bare.studyc(away, "status specs/smoke.yaml", expect=3).stdout
    told = bare.studyc(away, "why smoke-").stdout
    assert re.search(
        r"snakemake --snakefile \S+/site-packages/pipeline/project_files/Snakefile results/report/", told
    )
    assert "0 artifacts checked, 0 faults" in bare.studyc(away, "verify specs/smoke.yaml").stdout
    assert "incomplete" in bare.studyc(away, "report specs/smoke.yaml", expect=3).stdout
    assert "it_ran" in (away / "results/reports/smoke/report.html").read_text()


def test_a_command_whose_extra_is_missing_says_which_in_one_line(bare: Environment, away: Path) -> None:
    refused = bare.studyc(away, "run specs/smoke.yaml", expect=6)
    assert (refused.stdout, refused.stderr) == (
        "",
        "this needs the extra run (snakemake is not installed): pip install 'studyc[run]'\n",
    )
    text = SMOKE.replace("  model:\n", "  model:\n    big: org/model\n", 1)
    assert text != SMOKE
    (away / "specs" / "hub.yaml").write_text(text)
    refused = bare.studyc(away, "pin specs/hub.yaml", expect=6)
    assert (refused.stdout, refused.stderr) == (
        "",
        "this needs the extra data (httpx is not installed): pip install 'studyc[data]'\n",
    )


def test_a_study_runs_from_a_folder_outside_the_clone(wheel: Path, bare: Environment, away: Path) -> None:
    """Its data with the extras `run` and `data` alone; the rest once torch is there."""
    equipped = Environment(away / "venv", wheel, "[run,data]")
    refused = equipped.studyc(away, "run specs/smoke.yaml --profile slurm", expect=6)
    assert refused.stderr == (
        "this needs the extra slurm (snakemake_executor_plugin_slurm is not installed): pip install 'studyc[slurm]'\n"
    )
    shown = equipped.studyc(away, "run specs/smoke.yaml -- --until base subset", expect=3)
    failed = [line.strip() for line in shown.stderr.splitlines() if "this needs the extra" in line]
    assert failed == ["this needs the extra train (torch is not installed): pip install 'studyc[train]'"]
    made = {path.parts[-3] for path in (away / "results").glob("*/*/record.json")}
    assert made == WITHOUT_TORCH
    (log,) = (away / "results" / "logs").glob("run-*.log")
    assert "project_files/profiles/default" in log.read_text()

    equipped.borrow(sysconfig.get_path("purelib"))
    shown = equipped.studyc(away, "run specs/smoke.yaml")
    assert re.search(r"supported +it_ran", shown.stdout)
    record = next((away / "results" / "sft").glob("*/record.json")).read_text()
    assert f'"commit": "v{__version__}"' in record

    assert re.search(r"supported +it_ran", bare.studyc(away, "report specs/smoke.yaml").stdout)
    assert bare.studyc(away, "verify specs/smoke.yaml").stdout.endswith(" 0 faults\n")
    assert bare.studyc(away, "status specs/smoke.yaml").stderr == ""
