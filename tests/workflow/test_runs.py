"""Snakemake really runs: once, again, after edits, after kills, for two studies."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.support.project import (
    SECRET,
    environment,
    make_project,
    planned_jobs,
    record_times,
    snakemake,
    studyc,
    to_run,
)  # fmt: skip
from tests.support.smoke import SMOKE

pytestmark = pytest.mark.xdist_group("workflow")

STAGES = {
    "source",
    "filter",
    "mix",
    "subset",
    "base",
    "sft",
    "rl",
    "checkpoint",
    "sample",
    "score",
    "analyse",
    "report",
}


def edit(project: Path, old: str, new: str) -> None:
    path = project / "specs" / "smoke.yaml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_plain_snakemake_runs_every_stage_and_leaves_a_report(finished: tuple[Path, str]) -> None:
    project, shown = finished
    records = record_times(project)
    assert {name.split("/")[1] for name in records} == STAGES
    page = next((project / "results" / "report").glob("*/report.html")).read_text()
    assert "The machinery measures an accuracy" in page
    assert "sft · model=tiny sft=16 · seed 0" in shown  # a readable message per cell


def test_the_dry_run_ends_with_the_counts_of_the_plan(tmp_path: Path) -> None:
    project = make_project(tmp_path / "new", {"smoke.yaml": SMOKE})
    shown = snakemake(project, "-n")
    assert shown.rstrip().endswith(studyc(project, "plan", "specs/smoke.yaml").rstrip())
    assert planned_jobs(project) == to_run(project)
    assert not (project / "results").exists()


def test_a_finished_study_runs_nothing_again(project: Path) -> None:
    before = record_times(project)
    assert planned_jobs(project) == to_run(project) == Counter()
    assert "Nothing to be done" in snakemake(project, "--cores", "2")
    assert record_times(project) == before


def test_comments_titles_and_placement_run_nothing(project: Path) -> None:
    edit(project, "study: smoke\n", "study: smoke   # a comment\ntitle: Another title\n")
    edit(project, "batch_size: 8", "batch_size: 8, micro_batch: 4")
    edit(
        project, "max_new_tokens: 32, precision: fp32}", "max_new_tokens: 32, precision: fp32, batch_size: 5}"
    )
    assert planned_jobs(project) == to_run(project) == Counter()


def test_touching_every_file_runs_nothing(project: Path) -> None:
    for path in (project / "results").rglob("*"):
        os.utime(path, (1, 1)) if "source" in str(path) else os.utime(path)
    assert planned_jobs(project) == Counter()


def test_an_edit_runs_exactly_the_cone_below_it_and_a_revert_runs_nothing(project: Path) -> None:
    before = record_times(project)
    cone = Counter({"rl": 1, "sample": 1, "score": 1, "analyse": 1, "report": 1})
    edit(project, "alpha: 4", "alpha: 5")
    assert planned_jobs(project) == to_run(project) == cone
    snakemake(project, "--cores", "2")
    after = record_times(project)
    assert {name: t for name, t in after.items() if name in before} == before
    assert len(after) - len(before) == cone.total()
    edit(project, "alpha: 5", "alpha: 4")
    assert planned_jobs(project) == to_run(project) == Counter()


def test_an_artifact_that_nothing_needs_is_not_made_again(project: Path) -> None:
    policy = next((project / "results" / "sft").glob("*-sft-48-*"))
    (policy / "record.json").unlink()
    assert planned_jobs(project) == to_run(project) == Counter()
    edit(project, "analyses: [reflection_keywords]", "analyses: [reflection_keywords, length]")
    assert planned_jobs(project) == to_run(project) == Counter({"analyse": 6, "report": 1})


def test_two_studies_in_one_call_share_their_work(project: Path) -> None:
    other = SMOKE.replace("study: smoke", "study: other").replace("at_least: 0", "at_least: 0.01")
    (project / "specs" / "other.yaml").write_text(other)
    both = "specs/smoke.yaml specs/other.yaml"
    assert planned_jobs(project, both) == Counter({"report": 1})
    snakemake(project, "--cores", "2", study=both)
    assert len(list((project / "results" / "report").glob("*/report.html"))) == 2


def test_a_killed_run_resumes(tmp_path: Path) -> None:
    """kill -9 of everything in the middle; the next run finishes without doing finished work again."""
    short = SMOKE[: SMOKE.index("claims:")].replace(
        '    "48": {inherits: sft, rows: 48, packing: isolated}\n', ""
    )
    short = short.replace('cells:\n  - {rl: none}\n  - {rl: [grpo, rloo], sft: "16"}', "cells: [{rl: none}]")
    project = make_project(tmp_path / "killed", {"smoke.yaml": short})
    command = [sys.executable, "-m", "snakemake", "--cores", "2", "--config", "study=specs/smoke.yaml"]
    run = subprocess.Popen(
        command,
        cwd=project,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    deadline = time.monotonic() + 300
    while (
        not list((project / "results" / "base").glob("*/work/progress.json")) and time.monotonic() < deadline
    ):
        assert run.poll() is None, run.stdout.read().decode()
        time.sleep(0.05)
    os.killpg(run.pid, signal.SIGKILL)
    run.communicate()
    before = record_times(project)
    assert not any("/base/" in name for name in before)
    snakemake(project, "--cores", "2")
    after = record_times(project)
    assert {name: t for name, t in after.items() if name in before} == before
    assert any(name.startswith("results/report/") for name in after)


def test_default_triggers_of_another_profile_are_refused(project: Path) -> None:
    shown = snakemake(project, "-n", "--workflow-profile", "none", "--cores", "1", check=False)
    assert "finished work would run again" in shown
    assert "Traceback" not in shown


def test_a_spec_error_in_snakemake_is_a_message_without_a_traceback(project: Path) -> None:
    edit(project, "rollouts: 4", "rolouts: 4")
    shown = snakemake(project, "-n", check=False)
    assert "specs/smoke.yaml:26:5: unknown key 'rolouts'" in shown
    assert "Traceback" not in shown


def test_unpinned_names_plan_with_a_warning_and_are_refused_by_run(project: Path) -> None:
    edit(project, "  model:\n", "  model:\n    qwen: Qwen/Qwen2.5-0.5B-Instruct\n")
    assert "1 hub name not pinned" in studyc(project, "plan", "specs/smoke.yaml")
    assert planned_jobs(project)["base"] == 1
    for refused in (
        studyc(project, "run", "specs/smoke.yaml", check=False),
        snakemake(project, "--cores", "1", check=False),
    ):
        assert "hub names without a commit (1): Qwen/Qwen2.5-0.5B-Instruct" in refused
        assert "studyc pin" in refused
        assert "Traceback" not in refused


def test_verify_finds_a_changed_file(project: Path) -> None:
    assert "0 faults" in studyc(project, "verify", "specs/smoke.yaml")
    rows = next((project / "results" / "subset").glob("*/rows.parquet"))
    content = rows.read_bytes()
    rows.unlink()
    rows.write_bytes(content[:-1] + b"x")
    assert f"{rows.relative_to(project)}: changed since it was recorded" in studyc(
        project, "verify", "specs/smoke.yaml", check=False
    )


def test_a_record_tells_identity_provenance_and_what_was_measured(finished: tuple[Path, str]) -> None:
    path = next((finished[0] / "results" / "sft").glob("*/record.json"))
    record = json.loads(path.read_text())
    assert record["stage"] == "sft"
    assert record["content"]["batch_size"] == 8
    assert record["inputs"]["policy"][0].startswith("tiny-")
    assert record["provenance"]["packages"]["trl"] == "1.16.0"
    assert set(record["files"]) >= {"model/model.safetensors", "model/tokenizer.json", "log.parquet"}


def test_no_secret_of_the_environment_is_written_down(finished: tuple[Path, str]) -> None:
    project, shown = finished
    assert SECRET not in shown
    for path in (project / "results").rglob("*"):
        if path.is_file():
            assert SECRET.encode() not in path.read_bytes(), path


def test_the_linter_of_snakemake_finds_only_what_is_explained(tmp_path: Path) -> None:
    from tests.workflow.lint_snakefile import lints

    assert lints(make_project(tmp_path / "lint", {"smoke.yaml": SMOKE})) == []


def test_studyc_run_shows_progress_and_ends_with_the_verdicts(project: Path) -> None:
    edit(project, "alpha: 4", "alpha: 6")
    shown = studyc(project, "run", "specs/smoke.yaml")
    assert "[5/5]" in shown
    assert "rl         model=tiny sft=16 rl=rloo · seed 0  done" in shown
    assert "report of smoke: results/reports/smoke/report.html" in shown
    assert "undecided" in shown or "supported" in shown
    cell = project / "results" / "reports" / "smoke" / "index" / "model=tiny_sft=16_rl=rloo"
    assert (cell / "policy-replicate0" / "record.json").exists()


def test_a_failing_stage_leaves_the_rest_done_and_says_how_to_look(project: Path) -> None:
    edit(project, "alpha: 4", "alpha: 7")
    edit(project, "learning_rate: 1e-3, max_length: 256", "learning_rate: 1e-3, max_length: 8")
    shown = studyc(project, "run", "specs/smoke.yaml", check=False)
    assert "✗" in shown and "alone: snakemake" in shown
    status = studyc(project, "status", "specs/smoke.yaml", check=False)
    assert "failed" in status and "✗" in status
    assert "Traceback" not in shown + status


def test_why_names_the_field_that_differs_from_the_finished_artifact(project: Path) -> None:
    edit(project, "alpha: 4", "alpha: 5")
    key = json.loads(studyc(project, "plan", "specs/smoke.yaml", "--json"))["to_run"][0]["key"]
    told = studyc(project, "why", key, "specs/smoke.yaml")
    assert "would run: not done; its inputs are" in told
    assert "config.reward.0.params.alpha: 4 → 5" in told


def test_a_partial_study_has_a_report_that_says_what_is_missing(project: Path) -> None:
    edit(project, "alpha: 4", "alpha: 8")
    shown = studyc(project, "report", "specs/smoke.yaml", check=False)
    assert "not done yet" in shown
    assert (project / "results" / "reports" / "smoke" / "report.html").exists()
