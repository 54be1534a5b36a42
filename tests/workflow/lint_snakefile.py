"""`snakemake --lint`, with its one exception explained: fails on any other lint. `python -m tests.workflow.lint_snakefile`.

Snakemake's linter wants a conda environment or a container for each rule. Ours run under the interpreter that the
site file names for the stage's environment (envs/, docs/how-to/environments.md), because a stage may need another
environment than Snakemake's and the site decides how it is provided (venv, module, container wrapper).
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from tests.support.project import ROOT, environment

EXPLAINED = ("Specify a conda environment or container for each rule",)


def lints(project: Path = ROOT) -> list[str]:
    """The titles of all lints but the explained ones."""
    command = [sys.executable, "-m", "snakemake", "--lint", "--config", "study=specs/smoke.yaml"]
    done = subprocess.run(
        command, cwd=project, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    found = re.findall(r"^    \* (.+)$", done.stdout, flags=re.MULTILINE)
    assert found, f"the linter said nothing that is known:\n{done.stdout[-2000:]}"
    return [title for title in found if not title.startswith(EXPLAINED)]


if __name__ == "__main__":
    left = lints()
    print("\n".join(left) or "snakemake --lint: clean but for the explained exception")
    sys.exit(bool(left))
