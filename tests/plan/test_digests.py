"""Digests of local files are remembered, and a cache that is none is only slower."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.plan.digests import cache_path, path_digest
from pipeline.stages.source import digest_path


@pytest.mark.parametrize("content", [None, "", "no JSON", "[1, 2]", "3"])
def test_a_digest_needs_no_readable_cache(content: str | None, tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text("{}\n")
    if content is not None:
        cache_path().write_text(content)
    assert path_digest(file) == path_digest(file) == digest_path(file)
    assert str(file.resolve()) in cache_path().read_text()
