"""What an attempt leaves in its artifact's folder, whatever ended it."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.store import attempts


def test_a_failure_finds_its_place_on_a_full_disk(disk: Path) -> None:
    attempts.begin(disk)
    with pytest.raises(OSError, match="No space left") as full, (disk / "rest").open("wb") as rest:
        while True:
            rest.write(bytes(1 << 16))
    assert attempts.is_full(full.value)
    attempts.note_failure(disk, attempts.out_of_space(disk))
    ending = attempts.read_ending(disk)
    assert ending is not None
    assert "no space left" in ending.what and "Free some space" in ending.remedy
