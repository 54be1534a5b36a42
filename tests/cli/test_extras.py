"""What an installation lacks: every package that we import comes with the base or with the extra that is named."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from pipeline import extras
from pipeline.cli.main import main
from tests.support import ROOT
from tests.support.studies import BASIC

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

DISTRIBUTIONS = {
    "yaml": "pyyaml", "math_verify": "math-verify", "snakemake_executor_plugin_slurm": "snakemake-executor-plugin-slurm",
}  # fmt: skip
"""The packages whose distribution is called otherwise."""

BASE = ("pydantic", "yaml", "numpy", "scipy", "polars", "jinja2", "markupsafe")


def requirements(extra: str | None = None) -> dict[str, Requirement]:
    """Distribution → what the base, or an extra with all that it includes, asks for."""
    lines = PROJECT["dependencies"] if extra is None else PROJECT["optional-dependencies"][extra]
    found: dict[str, Requirement] = {}
    for line in lines:
        asked = Requirement(line)
        if asked.name == "studyc":
            for other in asked.extras:
                found.update(requirements(other))
        else:
            found[asked.name.lower()] = asked
    return found


def imported() -> Iterator[tuple[str, str]]:
    """(package, file) of every import in the package that is neither ours nor Python's."""
    for path in sorted((ROOT / "pipeline").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names = [node.module]
            for name in names:
                package = name.partition(".")[0]
                if package not in sys.stdlib_module_names and package != "pipeline":
                    yield package, str(path.relative_to(ROOT))


def test_every_package_that_is_imported_comes_with_the_base_or_an_extra() -> None:
    known = {*BASE, *(package for packages in extras.EXTRAS.values() for package in packages)}
    assert {(package, file) for package, file in imported() if package not in known} == set()


def test_an_extra_brings_the_packages_for_which_it_is_named() -> None:
    assert set(extras.EXTRAS) == set(PROJECT["optional-dependencies"]) - {"all"}
    for extra, packages in extras.EXTRAS.items():
        brought = requirements(extra)
        assert {DISTRIBUTIONS.get(package, package) for package in packages} <= set(brought), extra
    assert {DISTRIBUTIONS.get(package, package) for package in BASE} == set(requirements())


@pytest.mark.parametrize("extra", [None, "run", "slurm", "data", "judge", "train", "vllm"])
def test_the_pinned_versions_are_within_the_bounds_and_every_bound_has_two_sides(extra: str | None) -> None:
    for file in ("vllm",) if extra == "vllm" else ("training",):
        pins = dict(
            re.findall(r"^([\w.-]+)==([\w.+]+)", (ROOT / f"envs/{file}.txt").read_text(), re.MULTILINE)
        )
        pins = {name.lower(): version for name, version in pins.items()}
        for name, asked in requirements(extra).items():
            assert {clause.operator for clause in asked.specifier} == {">=", "<"}, name
            if name in pins:
                assert asked.specifier.contains(pins[name]), (name, pins[name])
            else:
                assert file == "vllm", f"{name} is not pinned"


def test_the_base_admits_what_vllm_pins() -> None:
    text = (ROOT / "envs/vllm.txt").read_text()
    pins = {
        name.lower(): version for name, version in re.findall(r"^([\w.-]+)==([\w.+]+)", text, re.MULTILINE)
    }
    for name, asked in requirements().items():
        assert name not in pins or asked.specifier.contains(pins[name]), name


def test_a_missing_package_is_one_line_that_names_the_extra() -> None:
    refusal = extras.refusal_of(ModuleNotFoundError("no", name="huggingface_hub.errors"))
    assert str(refusal) == (
        "this needs the extra data (huggingface_hub is not installed): pip install 'studyc[data]'"
    )
    assert refusal is not None and refusal.exit_code == 6
    assert extras.refusal_of(ModuleNotFoundError("no", name="pipeline.nothing")) is None


def without(package: str, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run `studyc` in a process that finds every package but one."""
    hide = f"import sys; sys.modules[{package!r}] = None; sys.path.insert(0, {str(ROOT)!r})"
    code = f"{hide}\nfrom pipeline.cli.main import main\nsys.exit(main(sys.argv[1:]))"
    return subprocess.run([sys.executable, "-c", code, *words], cwd=folder, capture_output=True, text=True)


def test_a_command_whose_extra_is_missing_says_so_without_a_traceback(tmp_path: Path) -> None:
    text = BASIC.replace("    tiny: {tiny:", "    big: org/model\n    tiny: {tiny:")
    (tmp_path / "study.yaml").write_text(text)
    done = without("huggingface_hub", tmp_path, "pin", "study.yaml")
    assert (done.returncode, done.stdout) == (6, "")
    assert done.stderr == (
        "this needs the extra data (huggingface_hub is not installed): pip install 'studyc[data]'\n"
    )


def test_any_other_missing_module_is_our_fault_and_shown_as_such(tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_text(BASIC)
    done = without("pipeline.plan.lint", tmp_path, "check", "study.yaml")
    assert done.returncode == 1 and "Traceback" in done.stderr


def test_a_stage_whose_extra_is_missing_says_so_and_which_python_it_has(tmp_path: Path) -> None:
    folder = tmp_path / "results" / "base" / "tiny-000000000000"
    (folder / "work").mkdir(parents=True)
    config = {"tiny": {"hidden_size": 8}}
    job = {
        "key": folder.name, "stage": "base", "config": config, "seed": 0, "inputs": {}, "folder": str(folder),
        "title": "tiny", "hints": {},
    }  # fmt: skip
    (folder / "work" / "job.json").write_text(json.dumps(job))
    hide = f"import sys; sys.modules['torch'] = None; sys.path.insert(0, {str(ROOT)!r})"
    code = f"{hide}\nfrom pathlib import Path\nfrom pipeline.backend.stage_process import main\nsys.exit(main(Path(sys.argv[1])))"
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder / "work" / "job.json")], capture_output=True, text=True
    )
    assert done.returncode == 5, done.stderr
    assert done.stderr.splitlines() == [
        "error: this needs the extra train (torch is not installed): pip install 'studyc[train]'",
        f"    The Python of this stage is {sys.executable}.",
    ]


def test_results_that_are_not_here_are_told_on_standard_error(tmp_path: Path, monkeypatch, capsys) -> None:
    (tmp_path / "study.yaml").write_text(BASIC)
    monkeypatch.chdir(tmp_path)
    note = f"no results here ({tmp_path}/results): everything counts as not done\n"
    for words in (["plan"], ["status"], ["verify"], ["why", "basic"]):
        main([*words, "study.yaml"])
        assert capsys.readouterr().err == note
        main([*words, "study.yaml", "--json"])
        assert capsys.readouterr().err == ""
    main(["report", "study.yaml"])
    assert capsys.readouterr().err == note
    main(["plan", "study.yaml"])
    assert capsys.readouterr().err == ""


def test_a_clone_in_which_nothing_ran_yet_needs_no_such_note(tmp_path: Path, monkeypatch, capsys) -> None:
    (tmp_path / "study.yaml").write_text(BASIC)
    (tmp_path / "Snakefile").touch()
    (tmp_path / "pipeline" / "backend").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    main(["plan", "study.yaml"])
    assert capsys.readouterr().err == ""
    main(["plan", "study.yaml", "--results", "elsewhere"])
    assert capsys.readouterr().err.startswith(f"no results here ({tmp_path}/elsewhere)")
