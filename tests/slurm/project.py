"""A project folder of its own for the cluster's tests: copies of the code, one study, one site file."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from tests.support import ROOT

COPIED = ("Snakefile", "rules", "pipeline", "profiles", "envs")

STUDY = """\
study: cluster
question: Does a study run on a cluster?
replicates: 1
data:
  short: {source: {synthetic: chains, rows: 400, seed: 1, params: {style: short, split: train}}}
  heldout: {source: {synthetic: chains, rows: 8, seed: 3, params: {split: test}}}
recipes:
  sft: {data: short, epochs: 30, batch_size: 4, learning_rate: 1e-4, max_length: 256, precision: fp32, save_every_minutes: 0.01}
  rl: {data: short, steps: 2, prompts_per_step: 2, rollouts: 2, learning_rate: 1e-4, max_new_tokens: 16, precision: fp32}
factors:
  model:
    tiny: {tiny: {hidden_size: 32, layers: 1, heads: 2, phases: [{data: short, epochs: 1, batch_size: 32}]}}
  sft:
    "100": {inherits: sft, rows: 100}
  rl:
    none:
    rloo: {inherits: rl, algorithm: rloo, reward: {accuracy: 1}}
cells: [{}]
sampling: {samples: 1, max_new_tokens: 16, precision: fp32}
measure:
  heldout:
claims:
  it_ran: {metric: accuracy, of: {rl: none}, at_least: 0}
"""

SITE = """\
study: specs/cluster.yaml
results: results
partitions: {cpu: small, gpu: accelerated}
gpu_type: h100
environments:
  training: {python: bin/python-of-the-site, setup: export STUDYC_TEST_SETUP=done}
stages:
  default: {cpus: 1, mem_mb: 1500, runtime_minutes: 10}
  sft: {cpus: 2, mem_mb: 1700, runtime_minutes: 13}
  rl: {cpus: 1, mem_mb: 1800, runtime_minutes: 17}
max_runtime_minutes: 20
local_stages: [source, subset, score, checkpoint, report]
warning_seconds: 60
threads: 1
environment_variables: {STUDYC_TEST_VARIABLE: from the site file}
"""

WRAPPER = """\
#!/bin/sh
echo "${{SLURM_JOB_ID:-none}} ${{STUDYC_TEST_SETUP:-no}} gpus=${{CUDA_VISIBLE_DEVICES:-none}} ${{STUDYC_TEST_VARIABLE:-none}} $*" >> {trace}
exec {python} "$@"
"""


class Project:
    """A project in a folder of its own; results/ belongs to it."""

    def __init__(self, folder: Path, mark: Mapping[str, str]) -> None:
        self.folder = folder
        self.mark = dict(mark)
        self.trace = folder / "trace.txt"
        self.results = folder / "results"
        folder.mkdir(parents=True)
        for name in COPIED:
            source = ROOT / name
            (shutil.copytree if source.is_dir() else shutil.copy)(source, folder / name)
        (folder / "slurm").symlink_to(Path("profiles/slurm"))
        (folder / "profiles/slurm/site.yaml").write_text(SITE)
        (folder / "specs").mkdir()
        self.write_study(STUDY)
        wrapper = folder / "bin/python-of-the-site"
        wrapper.parent.mkdir()
        wrapper.write_text(WRAPPER.format(trace=self.trace, python=sys.executable))
        wrapper.chmod(0o755)

    def write_study(self, text: str, name: str = "cluster.yaml") -> Path:
        """Put a study into specs/."""
        path = self.folder / "specs" / name
        path.write_text(text)
        return path

    def start(self, *words: str) -> Run:
        """`snakemake --profile slurm …` in the background, with the pauses between polls capped."""
        return Run(
            [sys.executable, str(Path(__file__).with_name("fast_polls.py")), "--profile", "slurm", *words],
            self.folder,
            self.mark,
        )

    def finish(self, program: str, *words: str) -> tuple[int, str]:
        """Run an installed program (snakemake, studyc) as a user would; its exit code and output."""
        run = Run([str(Path(sys.executable).with_name(program)), *words], self.folder, self.mark)
        return run.wait(), run.output

    def artifacts(self, stage: str) -> list[Path]:
        """The folders of a stage's artifacts."""
        return sorted(path for path in (self.results / stage).glob("*") if path.is_dir())

    def record(self, stage: str) -> dict[str, Any]:
        """The record of a stage's only artifact."""
        (folder,) = self.artifacts(stage)
        return json.loads((folder / "record.json").read_text())


class Run:
    """A Snakemake process and its output."""

    def __init__(self, command: list[str], folder: Path, mark: dict[str, str]) -> None:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("STUDYC_", "SLURM_", "PYTEST"))}
        self._log: IO[bytes] = (folder / f"snakemake-{len(list(folder.glob('snakemake-*.log')))}.log").open(
            "wb"
        )
        self._path = Path(self._log.name)
        self.process = subprocess.Popen(
            command,
            cwd=folder,
            env={
                **kept,
                **mark,
                "OMP_NUM_THREADS": "1",
                "STUDYC_CACHE": str(folder / "cache"),
                "XDG_CACHE_HOME": str(folder / "cache"),
            },
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
        )

    @property
    def output(self) -> str:
        """What Snakemake has printed so far."""
        return self._path.read_text(errors="replace")

    def wait(self, seconds: float = 600) -> int:
        """The exit code; the process is ended where it takes longer."""
        try:
            return self.process.wait(timeout=seconds)
        finally:
            self.process.kill()
            self._log.close()
