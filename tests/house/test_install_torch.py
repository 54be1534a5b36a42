"""The build of torch that `make env` installs: never a plain wheel, which would bring CUDA, where no GPU is."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import ROOT


def install(build: str, version: str, tmp_path: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run the script where pip finds nothing but what is in an empty folder, and no GPU is shown."""
    (tmp_path / "nvidia-smi").write_text("#!/bin/sh\nexit 9\n")
    (tmp_path / "nvidia-smi").chmod(0o755)
    alone = {"PIP_CONFIG_FILE": os.devnull, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(tmp_path)}
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        ["sh", str(ROOT / "envs" / "install_torch.sh"), sys.executable, version, build, "--dry-run", *options],
        env={**os.environ, **alone, "PATH": path}, capture_output=True, text=True,
    )  # fmt: skip


def test_the_cpu_build_that_is_there_is_taken(tmp_path) -> None:
    import torch

    version, _, local = torch.__version__.partition("+")
    if local != "cpu":
        pytest.skip("this environment has another build of torch")
    assert install("auto", version, tmp_path).returncode == 0


def test_where_there_is_no_cpu_build_the_plain_name_is_never_asked_for(tmp_path) -> None:
    done = install("auto", "0.0.1", tmp_path)
    assert done.returncode == 1
    assert "the CPU build of torch 0.0.1 was not found" in done.stderr
    assert "TORCH_BUILD=cuda" in done.stderr


def test_an_unknown_build_is_refused(tmp_path) -> None:
    done = install("gpu", "0.0.1", tmp_path)
    assert (done.returncode, done.stderr) == (2, "TORCH_BUILD is cpu, cuda or auto, not 'gpu'\n")


def test_an_environment_that_was_interrupted_before_it_had_pip_is_mended(tmp_path) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv"], check=True)
    alone = {"PIP_CONFIG_FILE": os.devnull, "PIP_NO_INDEX": "1", "TORCH_BUILD": "cpu"}
    made = subprocess.run(
        ["make", "-C", str(ROOT), "env", f"VENV={tmp_path / 'venv'}", f"PYTHON={sys.executable}"],
        env={**os.environ, **alone}, capture_output=True, text=True,
    )  # fmt: skip
    assert "the CPU build of torch" in made.stderr  # there is no index here
    subprocess.run([tmp_path / "venv" / "bin" / "python", "-m", "pip", "--version"], check=True)
    assert not list((tmp_path / "venv").glob(".installed-*"))
