"""The documentation as pages: they build without a warning, and reading them asks nobody for anything."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.support import ROOT

pytest.importorskip("mkdocs")

LOADS = {"src", "srcset", "poster", "data", "background", "action", "formaction"}
"""Attributes that make a browser fetch something; `href` does in a <link>, not in an <a>."""
_OUTSIDE = re.compile(r"\s*(?:[a-z][a-z0-9+.-]*:)?//", re.IGNORECASE)
_IN_CSS = re.compile(r"(?:@import\s+|url\()\s*['\"]?([^'\")]+)")


class _Page(HTMLParser):
    """What a page loads, and where its links lead."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.links: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in LOADS or (name == "href" and tag != "a"):
                self.loaded.append(value or "")
            elif name == "style":
                self.loaded += _IN_CSS.findall(value or "")
            elif name == "href":
                self.links.append(value or "")


def build(project: Path, target: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(target)]
    return subprocess.run(command, cwd=project, capture_output=True, text=True)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("site")
    done = build(ROOT, target)
    assert done.returncode == 0, done.stdout + done.stderr
    return target


def test_no_page_loads_anything_from_elsewhere(site: Path) -> None:
    loaded = {
        (path.name, what) for path in site.rglob("*.html") for what in _Page(path.read_text()).loaded
    } | {(path.name, what) for path in site.rglob("*.css") for what in _IN_CSS.findall(path.read_text())}
    assert len(loaded) > 20
    assert not {found for found in loaded if _OUTSIDE.match(found[1])}


def test_every_link_within_the_site_leads_to_a_file(site: Path) -> None:
    for page in site.rglob("*.html"):
        if page.name != "404.html":
            found = _Page(page.read_text())
            for link in (*found.links, *found.loaded):
                path = link.partition("#")[0]
                assert _OUTSIDE.match(link) or (page.parent / path).exists(), (page, link)


def test_a_file_of_the_repository_that_a_page_links_to_has_a_page(site: Path) -> None:
    assert "files/specs/open_rs.yaml.html" in (site / "papers.html").read_text()
    assert "valley" in (site / "files/specs/demo.yaml.html").read_text()


def test_a_link_to_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    for path in ROOT.iterdir():
        if path.name in ("docs", "mkdocs.yml"):
            (shutil.copytree if path.is_dir() else shutil.copyfile)(path, tmp_path / path.name)
        elif not path.name.startswith("."):
            (tmp_path / path.name).symlink_to(path)
    with (tmp_path / "docs" / "tutorial.md").open("a") as page:
        page.write("\n[gone](../specs/gone.yaml)\n")
    done = build(tmp_path, tmp_path / "built")
    assert done.returncode != 0 and "gone.yaml" in done.stderr


def test_every_decision_is_listed_by_its_title() -> None:
    folder = ROOT / "docs" / "adr"
    listed = dict(re.findall(r"^- \[(.*)\]\((\d{4}-.*\.md)\)$", (folder / "README.md").read_text(), re.M))
    titles = {path.read_text().splitlines()[0].removeprefix("# "): path.name for path in folder.glob("0*.md")}
    assert listed == titles
