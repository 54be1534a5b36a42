"""`studyc report` without results."""

from __future__ import annotations

from pathlib import Path

from pipeline.cli.main import main


def test_a_report_of_nothing_says_so(here: Path, capsys) -> None:
    assert main(["report", "study.yaml"]) == 3
    assert "incomplete" in capsys.readouterr().out
    assert (here / "results/reports/basic/report.html").exists()
