"""A new stage is one pair of files: a training put beside the others checks, plans, runs and shows in status."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from tests.support.project import ROOT, environment

pytestmark = pytest.mark.xdist_group("workflow")

STAGE = '''\
"""Scale every weight of a policy: a training for tests, which looks at no row."""

from __future__ import annotations

from pipeline.fingerprint import Config, content
from pipeline.stages import Stage, Training


class ScaleConfig(Config):
    """By how much."""

    factor: float = content(describe="What every weight is multiplied by.", gt=0)


STAGE = Stage(
    name="scale",
    version=1,
    config=ScaleConfig,
    produces="policy",
    follows="base",
    summary="Scale every weight.",
    training=Training(slug=lambda config, rows: f"scale-{config.factor:g}-{rows}"),
    is_in_status=True,
)
'''

ENGINE = '''\
"""The scale stage's work."""

from __future__ import annotations

import shutil
from typing import Any

from safetensors.numpy import load_file, save_file

from pipeline.store.job import Job


def run(job: Job) -> dict[str, Any]:
    """Write input `policy` with scaled weights as model/."""
    shutil.copytree(job.one("policy") / "model", job.folder / "model", dirs_exist_ok=True)
    path = job.folder / "model" / "model.safetensors"
    weights = {name: value * value.dtype.type(job.config.factor) for name, value in load_file(path).items()}
    save_file(weights, path, metadata={"format": "pt"})
    return {"scaled": len(weights), "rows": str(job.one("data").name)}
'''

STUDY = """\
study: scaling
question: Does a stage that was added by its files alone belong to the study?
data:
  some: {source: {synthetic: chains, rows: 8, seed: 1, params: {split: train}}}
  heldout: {source: {synthetic: chains, rows: 2, seed: 2, params: {split: test}}}
factors:
  model: {tiny: {tiny: {hidden_size: 16, layers: 1, heads: 2, intermediate_size: 16}}}
  scale:
    none:
    half: {data: some, rows: 4, factor: 0.5}
sampling: {samples: 1, max_new_tokens: 4, precision: fp32}
measure: {heldout: {}}
claims:
  shorter: {metric: tokens, of: {scale: half}, below: {scale: none}}
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the project with a stage more."""
    for name in ("Snakefile", "rules", "profiles", "envs", "pipeline"):
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / "pipeline" / "stages" / "scale.py").write_text(STAGE)
    (tmp_path / "pipeline" / "engines" / "scale.py").write_text(ENGINE)
    (tmp_path / "study.yaml").write_text(STUDY)
    return tmp_path


def python(project: Path, module: str, *words: str, code: int = 0) -> str:
    """Run a module in the copy, whose package is then the one that is imported; returns everything it printed."""
    done = subprocess.run(
        [sys.executable, "-m", module, *words],
        cwd=project,
        env={**environment(), "PYTHONPATH": str(project)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == code, done.stdout[-6000:]
    return done.stdout


def studyc(project: Path, *words: str, code: int = 0) -> str:
    return python(project, "pipeline", *words, code=code)


@pytest.mark.slow
def test_a_training_stage_is_added_by_its_two_files_alone(project: Path) -> None:
    assert "2 trainings after sharing (1 base, 1 scale)" in studyc(project, "check", "study.yaml")
    plan = json.loads(studyc(project, "plan", "study.yaml", "--json"))["stages"]
    assert plan["scale"] == {"artifacts": 1, "done": 0, "to_run": 1}
    assert list(plan).index("base") + 1 == list(plan).index("scale")
    assert '"factor"' in studyc(project, "schema")
    rules = python(project, "snakemake", "--list", "--config", "study=study.yaml")
    assert "scale (Scale every weight.)" in rules

    studyc(project, "run", "study.yaml", "--quiet")

    (base,) = (project / "results" / "base").iterdir()
    start = load_file(base / "model" / "model.safetensors")
    (folder,) = (project / "results" / "scale").iterdir()
    assert folder.name.startswith("tiny-1x16-scale-0.5-4-"), "its slug is the stage's own"
    facts = json.loads((folder / "record.json").read_text())["facts"]
    assert facts["rows"].startswith("chains-4-"), "the rows of a level are cut for it"
    made = load_file(folder / "model" / "model.safetensors")
    for name, value in start.items():
        np.testing.assert_allclose(made[name], value / 2, rtol=1e-6)
    columns = studyc(project, "status", "study.yaml").splitlines()[1].split()
    assert columns == ["cell", "base", "scale", "sample", "score"]


def test_what_a_new_stage_refuses_is_said_in_its_own_words(project: Path) -> None:
    (project / "study.yaml").write_text(STUDY.replace("factor: 0.5", "factr: 0.5"))
    shown = studyc(project, "check", "study.yaml", code=2)
    assert "unknown key 'factr'" in shown and "Did you mean 'factor'?" in shown
