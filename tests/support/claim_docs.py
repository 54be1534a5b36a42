"""The study and the examples of docs/how-to/claims.md."""

from __future__ import annotations

import re
from pathlib import Path

from pipeline.plan.compiled import StudyPlan
from tests.support import ROOT
from tests.support.studies import compile_text

STUDY, *EXAMPLES = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs/how-to/claims.md").read_text(), re.S)


def compile_examples(folder: Path, *blocks: str) -> StudyPlan:
    """The page's study with some of its blocks, compiled."""
    return compile_text(STUDY + "\n".join(blocks), folder).studies[0]
