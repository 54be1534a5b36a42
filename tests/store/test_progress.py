"""What a stage publishes is what status and bars read: whole, and not too often."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.store import progress
from pipeline.store.job import Job
from pipeline.store.paths import progress_path
from pipeline.store.progress import publish_progress, read_progress


def make_job(folder: Path) -> Job[None]:
    return Job(key="job", stage="sft", config=None, seed=1, inputs={}, folder=folder)


def test_what_a_job_publishes_can_be_read(tmp_path: Path) -> None:
    assert read_progress(tmp_path) is None
    make_job(tmp_path).progress(3, 9.5, "steps", loss=0.25, judge="reflection")
    found = read_progress(tmp_path)
    assert found is not None
    assert (found.done, found.total, found.unit) == (3, 9.5, "steps")
    assert found.extra == {"loss": 0.25, "judge": "reflection"} and found.at > 1.7e9
    assert [path.name for path in progress_path(tmp_path).parent.iterdir()] == ["progress.json"]


def test_reports_are_rare_but_the_last_one_is_always_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[float] = []
    for done in range(101):  # ten a second
        monkeypatch.setattr(progress.time, "time", lambda now=1e9 + done / 10: now)
        publish_progress(tmp_path, done, 100, "rows")
        found = read_progress(tmp_path)
        assert found is not None
        seen.append(found.done)
    assert sorted(set(seen)) == list(range(0, 101, 5))


def test_the_last_report_does_not_wait(tmp_path: Path) -> None:
    for done in (1, 2):
        publish_progress(tmp_path, done, 2, "rows")
    found = read_progress(tmp_path)
    assert found is not None and found.done == 2


def test_two_jobs_of_one_process_do_not_silence_each_other(tmp_path: Path) -> None:
    for name in ("a", "b"):
        publish_progress(tmp_path / name, 1, 2, "rows")
    assert read_progress(tmp_path / "a") and read_progress(tmp_path / "b")


def test_of_several_processes_the_first_reports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "1")
    publish_progress(tmp_path, 1, 2, "steps")
    assert read_progress(tmp_path) is None
    monkeypatch.setenv("RANK", "0")
    publish_progress(tmp_path, 1, 2, "steps")
    assert read_progress(tmp_path) is not None


@pytest.mark.parametrize(
    "torn", ["", "{", "[]", "7", '{"done": 1}', '{"done": 1, "total": 2, "unit": "rows"}']
)
def test_what_is_no_report_is_none(torn: str, tmp_path: Path) -> None:
    progress_path(tmp_path).parent.mkdir()
    progress_path(tmp_path).write_text(torn)
    assert read_progress(tmp_path) is None
