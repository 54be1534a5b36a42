"""The tiny twins of the four papers: each runs every stage of its paper's study and reports all that the paper shows."""

from __future__ import annotations

import csv
import html
import json
import re
from pathlib import Path

import pytest
import yaml

from tests.support import ROOT
from tests.support.project import make_project, planned_jobs, snakemake, studyc

pytestmark = [pytest.mark.studies, pytest.mark.xdist_group("studies")]

TWINS = sorted(path.stem for path in (ROOT / "specs" / "tiny").glob("*.yaml"))
VERDICTS = {"supported", "refuted", "undecided"}


@pytest.mark.parametrize("name", TWINS)
def test_a_twin_runs_and_its_report_shows_everything_its_paper_shows(name: str, tmp_path: Path) -> None:
    text = (ROOT / "specs" / "tiny" / f"{name}.yaml").read_text()
    spec = yaml.safe_load(text)
    project = make_project(tmp_path / "project", {f"{name}.yaml": text})
    studyc(project, "run", f"specs/{name}.yaml", timeout=1_200)
    assert not planned_jobs(project, study=f"specs/{name}.yaml")

    (folder,) = (project / "results" / "report").iterdir()
    page = (folder / "report.html").read_text()
    with (folder / "claims.csv").open() as lines:
        decided = {line["claim"]: line for line in csv.DictReader(lines)}
    assert set(decided) == set(spec["claims"])
    assert {line["claim_status"] for line in decided.values()} <= VERDICTS
    shown = html.unescape(re.sub(r"<[^>]+>", " ", page))
    for part in ("figures", "tables"):
        for key, declared in spec[part].items():
            title = declared.get("title", key)
            assert title in shown, f"{part} {key}"
    print(
        json.dumps({"twin": name, "verdicts": {key: line["claim_status"] for key, line in decided.items()}})
    )


def test_the_twins_compile_together_and_share_nothing_by_accident(tmp_path: Path) -> None:
    specs = {f"{name}.yaml": (ROOT / "specs" / "tiny" / f"{name}.yaml").read_text() for name in TWINS}
    project = make_project(tmp_path / "project", specs)
    shown = snakemake(project, "-n", "--cores", "2", study=" ".join(f"specs/{name}" for name in specs))
    assert all(name in shown for name in ("base", "sft", "rl", "sample", "score", "report"))
