"""What planning imports, and that imports point one way: both decide how fast the first answer comes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support import ROOT
from tests.support.studies import BASIC

HEAVY = (
    "torch", "transformers", "trl", "vllm", "datasets", "deepspeed", "accelerate", "polars", "pyarrow", "numpy",
    "scipy", "math_verify", "sympy", "matplotlib", "jinja2", "rich",
)  # fmt: skip

_COMMAND = """\
import json, sys
from pipeline.cli.main import main
code = main(sys.argv[1:])
json.dump([code, sorted(sys.modules)], open("modules.json", "w"))
"""

_SNAKEFILE = """\
import json, sys, types
sys.path.insert(0, {root!r})
from pipeline.backend.workflow import load
from pipeline.plan.freeze import write_frozen
snakemake = types.SimpleNamespace(is_main_process=True, executor_plugin=None, rerun_triggers=["mtime"])
study = load(snakemake, {{"study": "study.yaml"}})
compiled = study._compiled
targets = study.targets(None)
for key in study.plan.artifacts:
    job = types.SimpleNamespace(key=key)
    study.title(job), study.command(job), study.runtime(job, attempt=1)
for stage in ("source", "sft", "report"):
    study.threads(stage), study.resources(stage), study.record(stage)
write_frozen(compiled, study.plan)
json.dump([0 if targets else 1, sorted(sys.modules)], open("modules.json", "w"))
"""


_FREEZE = """\
import json, sys
sys.path.insert(0, {root!r})
from pathlib import Path
from pipeline.plan.compiled import compile_plan
from pipeline.plan.freeze import freeze, write_frozen
from pipeline.site import Site
plan = compile_plan([Path("study.yaml")])
frozen = freeze(plan, Site())
write_frozen(plan, frozen)
json.dump([[str(frozen.path)], []], open("modules.json", "w"))
"""

_JOB = """\
import json, sys
from pathlib import Path
import pipeline.backend.job_process
from pipeline.plan.frozen import read_frozen
plan = read_frozen(Path(sys.argv[1]))
for key in plan.artifacts:
    plan.job(key), plan.placement(key), plan.is_heavy(key), plan.waits_for(key)
json.dump([len(plan.artifacts), sorted(sys.modules)], open("modules.json", "w"))
"""

_HELP = """\
import json, sys
from pipeline.cli.main import build_parser
build_parser().format_help()
json.dump([0, sorted(sys.modules)], open("modules.json", "w"))
"""


def _loaded(code: str, folder: Path, *words: str) -> tuple[Any, set[str]]:
    """Run code in a process of its own; what it answered and the top-level packages that it ended with."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("COV", "PYTEST"))}
    environment = {**kept, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code, *words], cwd=folder, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    answer, modules = json.loads((folder / "modules.json").read_text())
    return answer, {name.partition(".")[0] for name in modules} | {
        name for name in modules if name.startswith("pipeline.")
    }


@pytest.mark.parametrize("command", ["check", "plan", "status", "why", "schema"])
def test_a_command_about_the_plan_imports_nothing_heavy(command: str, tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_text(BASIC)
    words = {"why": ["why", "basic", "study.yaml"], "schema": ["schema"]}.get(
        command, [command, "study.yaml"]
    )
    code, modules = _loaded(_COMMAND, tmp_path, *words)
    assert code == (3 if command == "status" else 0)
    assert not modules & set(HEAVY)
    assert not [name for name in modules if name.startswith(("pipeline.engines.", "pipeline.cost."))]


def test_the_snakefile_side_imports_nothing_heavy(tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_text(BASIC)
    code, modules = _loaded(_SNAKEFILE.format(root=str(ROOT)), tmp_path)
    assert code == 0
    assert not modules & set(HEAVY)
    assert not [name for name in modules if name.startswith(("pipeline.engines.", "pipeline.cost."))]


def test_a_job_reads_its_plan_without_the_planner_and_without_the_stages(tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_text(BASIC)
    (path,) = _loaded(_FREEZE.format(root=str(ROOT)), tmp_path)[0]
    keys, modules = _loaded(_JOB, tmp_path, path)
    assert keys > 20
    assert not modules & set(HEAVY)
    planner = ("pipeline.plan.compiled", "pipeline.plan.lower", "pipeline.spec.read")
    assert not [
        name for name in modules if name.startswith(("pipeline.stages.", "pipeline.engines.", *planner))
    ]


def test_help_imports_no_stage(tmp_path: Path) -> None:
    _, modules = _loaded(_HELP, tmp_path)
    assert not [name for name in modules if name.startswith("pipeline.stages.")]


def test_planning_leaves_catalogue_entries_that_a_study_does_not_use_alone(tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_text(BASIC)
    _, modules = _loaded(_COMMAND, tmp_path, "plan", "study.yaml")
    assert "pipeline.rewards.accuracy" in modules
    assert not modules & {
        "pipeline.rewards.cosine",
        "pipeline.filters.decontaminate",
        "pipeline.datasets.gsm8k",
        "pipeline.benchmarks.aime24",
    }


def test_imports_point_one_way() -> None:
    linter = Path(sys.executable).with_name("lint-imports")
    if not linter.exists():
        pytest.skip("import-linter is not installed")
    done = subprocess.run([linter, "--no-cache"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
