"""What mkdocs does beside its own: pages for files outside docs/ that a page links to, and the colours of code.

A link from a page to `../specs/open_rs.yaml` is right in the repository and would lead nowhere in the site. Here
such a file becomes a page of its own, as highlighted text, and the link leads there. Guaranteed: nothing is
fetched, neither now nor when a page is read. Refused (by mkdocs, under --strict): a link to what is not there.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files, InclusionLevel
from mkdocs.structure.pages import Page
from pygments.formatters import HtmlFormatter

ROOT = Path(__file__).resolve().parents[1]
DOCS = "docs/"
PROJECT = ("CONTRIBUTING.md", "CHANGELOG.md")
"""Pages that lie at the repository's root and have their place in the navigation."""

LEXERS = {".yaml": "yaml", ".toml": "toml", ".py": "python", ".smk": "python", "Snakefile": "python"}
STYLES = {"light": "xcode", "dark": "github-dark"}
_LINK = re.compile(r"\]\((?![a-z]+:|#)([^)#\s]+)(#[^)\s]*)?\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add what is made here: the project's pages, the files that pages link to, the colours."""
    for name in PROJECT:
        files.append(File.generated(config, name, content=(ROOT / name).read_text()))
    for path in sorted(_find_linked(files)):
        aside = InclusionLevel.NOT_IN_NAV
        files.append(File.generated(config, _name_page(path), content=_show(path), inclusion=aside))
    files.append(File.generated(config, "css/code.css", content=_write_colours()))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Lead each link to a file of the repository to that file's page."""
    source = page.file.src_uri

    def lead(found: re.Match[str]) -> str:
        path = _find_target(source, found[1])
        if not (ROOT / path).is_file():
            return found[0]
        there = posixpath.relpath(_name_page(path), posixpath.dirname(source) or ".")
        return f"]({there}{found[2] or ''})"

    return markdown if source.startswith("files/") else _LINK.sub(lead, markdown)


def _find_linked(files: Files) -> set[str]:
    """The files outside docs/ that pages link to, as paths of the repository."""
    targets = {
        _find_target(file.src_uri, found[1])
        for file in files.documentation_pages()
        for found in _LINK.finditer(file.content_string)
    }
    return {
        path
        for path in targets - {*PROJECT}
        if not path.startswith((DOCS, "../")) and (ROOT / path).is_file()
    }


def _find_target(page: str, link: str) -> str:
    """The path in the repository that a link of a page means."""
    here = "" if page in PROJECT else DOCS + posixpath.dirname(page)
    return posixpath.normpath(posixpath.join(here, link))


def _name_page(path: str) -> str:
    """The place in the site's sources of a file of the repository."""
    if path in PROJECT or path.startswith(DOCS):
        return path.removeprefix(DOCS)
    return f"files/{path}.md"


def _show(path: str) -> str:
    """A file as a page: its name and its text."""
    lexer = LEXERS.get(Path(path).suffix or Path(path).name, "text")
    return f"# {path}\n\n~~~~~~{lexer}\n{(ROOT / path).read_text().rstrip()}\n~~~~~~\n"


def _write_colours() -> str:
    """The style sheet of highlighted code, one for each mode of the theme."""
    return "\n".join(
        HtmlFormatter(style=style).get_style_defs(f"[data-bs-theme={mode}] .codehilite")
        for mode, style in STYLES.items()
    )
