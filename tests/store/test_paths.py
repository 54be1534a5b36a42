"""The layout of results/: paths and plain text agree, and it is the one that results made before have."""

from __future__ import annotations

from pathlib import Path

from pipeline.store import paths, record
from pipeline.store.attempts import begin
from pipeline.store.lock import writer_lock

RESULTS = Path("results")
FOLDER = RESULTS / "sft" / "key"


def test_the_layout_is_that_of_results_made_before() -> None:
    """Changed, and everything would run again."""
    assert paths.artifact_path(RESULTS, "sft", "key") == FOLDER
    inside = (
        paths.record_path, paths.lock_path, paths.work_path, paths.job_path, paths.facts_path, paths.progress_path,
        paths.failure_path, paths.attempts_path,
    )  # fmt: skip
    assert [str(path(FOLDER).relative_to(FOLDER)) for path in inside] == [
        "record.json", ".lock", "work", "work/job.json", "work/facts.json", "work/progress.json",
        "work/failure.json", "work/attempts",
    ]  # fmt: skip
    beside = (
        paths.plan_path(RESULTS, "plan"), paths.code_path(RESULTS, "digest"), paths.run_log_path(RESULTS, "now"),
        paths.report_path(RESULTS, "study"), paths.index_path(RESULTS, "study"),
    )  # fmt: skip
    assert [str(path) for path in beside] == [
        "results/plans/plan.json", "results/plans/code/digest", "results/logs/run-now.log",
        "results/reports/study", "results/reports/study/index",
    ]  # fmt: skip


def test_text_says_the_same_as_paths() -> None:
    assert paths.record_text(RESULTS, "sft", "key") == str(paths.record_path(FOLDER))
    assert paths.work_text(str(RESULTS), "sft", "key") == str(paths.work_path(FOLDER))
    assert paths.record_text(RESULTS, "sft", "{key}") == "results/sft/{key}/record.json"
    assert paths.job_log_text(RESULTS, "sft", "key") == "results/logs/sft/key.log"
    assert paths.benchmark_text(RESULTS, "sft", "key") == "results/benchmarks/sft/key.tsv"


def test_results_are_found_from_what_lies_in_them() -> None:
    assert paths.results_of_artifact(FOLDER) == RESULTS
    assert paths.results_of_plan(paths.plan_path(RESULTS, "plan")) == RESULTS


def test_begun_started_and_done_are_told_apart(tmp_path: Path) -> None:
    for key in ("begun", "started", "done"):
        folder = paths.artifact_path(tmp_path, "sft", key)
        with writer_lock(folder):
            if key != "begun":
                begin(folder)
            if key == "done":
                record.write_record(folder, {})
    assert record.list_stages(tmp_path) == ["sft"] and record.list_stages(tmp_path / "none") == []
    assert record.list_begun(tmp_path, "sft") == {"begun", "started", "done"}
    assert record.list_begun(tmp_path, "rl") == frozenset()
    assert [k for k in ("begun", "started", "done") if record.is_started(tmp_path, "sft", k)] == [
        "started",
        "done",
    ]
    assert [k for k in ("begun", "started", "done") if record.is_recorded(tmp_path, "sft", k)] == ["done"]
    assert record.list_done(tmp_path, "sft") == [paths.artifact_path(tmp_path, "sft", "done")]
    assert record.list_done(tmp_path, "rl") == []


def test_only_the_artifacts_own_files_are_in_its_record(tmp_path: Path) -> None:
    with writer_lock(tmp_path):
        begin(tmp_path)
        (tmp_path / "model").mkdir()
        (tmp_path / "model" / "work").write_text("a file of a stage may be called so")
        (tmp_path / ".rows.parquet-host-1").touch()
        record.write_record(tmp_path, {})
    assert list(record.read_record(tmp_path)["files"]) == ["model/work"]
    assert record.verify(tmp_path) == []
