"""CITATION.cff says what the project is: the version of the changelog, and the papers of its studies."""

from __future__ import annotations

import re

import yaml

from tests.support import ROOT

CITATION = yaml.safe_load((ROOT / "CITATION.cff").read_text())


def test_the_citation_has_what_its_format_requires() -> None:
    assert CITATION["cff-version"] == "1.2.0"
    for work in (CITATION, *CITATION["references"]):
        assert work["title"] and work["type"] in ("software", "article")
        assert all("name" in author or "family-names" in author for author in work["authors"])


def test_the_version_is_the_newest_of_the_changelog() -> None:
    newest = re.search(r"^## (\S+)(?: – (\S+))?$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert newest.groups() == (CITATION["version"], str(CITATION["date-released"]))


def test_each_papers_study_cites_it() -> None:
    for paper in CITATION["references"]:
        (identifier,) = paper["identifiers"]
        study = yaml.safe_load((ROOT / paper["notes"]).read_text())
        assert identifier["value"] in study["cites"]
