"""A study on a real SLURM cluster: what its jobs ask for, what they run, what survives."""

from __future__ import annotations

import re

import pytest

from tests.slurm.cluster import Cluster
from tests.slurm.conftest import Disturbed
from tests.slurm.project import STUDY

pytestmark = [pytest.mark.slurm, pytest.mark.slow, pytest.mark.xdist_group("slurm")]

SUBMITTED = {"base": 1, "sft": 3, "rl": 1, "sample": 2}
"""Jobs by stage: SFT was submitted again after the kill and after the warning, not after the preemption."""


def test_a_study_runs_to_its_report(disturbed: Disturbed) -> None:
    assert disturbed.code == 0, disturbed.output[-6000:]
    assert "(100%) done" in disturbed.output
    assert disturbed.project.record("report")["facts"]
    assert {stage: len(disturbed.jobs_of(stage)) for stage in SUBMITTED} == SUBMITTED


def test_jobs_ask_for_what_the_site_says(disturbed: Disturbed) -> None:
    asked = {stage: disturbed.jobs_of(stage)[0] for stage in SUBMITTED}
    assert {job["Partition"] for job in asked.values()} == {"small"}
    assert {s: (j["CPUs/Task"], j["MinMemoryNode"], j["TimeLimit"]) for s, j in asked.items()} == {
        "base": ("1", "1500M", "00:10:00"),
        "sft": ("2", "1700M", "00:13:00"),
        "rl": ("1", "1800M", "00:17:00"),
        "sample": ("1", "1500M", "00:10:00"),
    }


def test_each_attempt_gets_twice_the_time_up_to_the_sites_limit(disturbed: Disturbed) -> None:
    assert [job["TimeLimit"] for job in disturbed.jobs_of("sft")] == ["00:13:00", "00:20:00", "00:20:00"]


def test_stages_run_under_the_interpreter_setup_and_variables_of_the_site(disturbed: Disturbed) -> None:
    lines = disturbed.project.trace.read_text().splitlines()
    stages = {stage for line in lines for stage in re.findall(r"results/(\w+)/", line)}
    assert stages == {"source", "subset", "base", "sft", "rl", "sample", "score", "report"}
    assert all(" done gpus=none from the site file " in line for line in lines)


def test_local_stages_stay_where_snakemake_runs(disturbed: Disturbed) -> None:
    lines = disturbed.project.trace.read_text().splitlines()
    local = {
        stage for line in lines if line.startswith("none ") for stage in re.findall(r"results/(\w+)/", line)
    }
    assert local == {"source", "subset", "score", "report"}
    assert not any(disturbed.jobs_of(stage) for stage in local)


def test_an_edit_of_spec_and_package_changes_nothing_in_a_running_study(disturbed: Disturbed) -> None:
    assert "was edited during the run" not in disturbed.output
    assert disturbed.project.record("subset")["config"]["rows"] == 100
    assert disturbed.project.record("sft")["provenance"]["slurm_job"] == disturbed.sft_jobs[-1]


def test_a_killed_a_warned_and_a_preempted_job_resume_from_their_working_files(disturbed: Disturbed) -> None:
    first, second, third = disturbed.saved_steps
    assert 0 < first < second < third
    (folder,) = disturbed.project.artifacts("sft")
    logs = [path.read_text() for path in sorted((folder / "work" / "attempts").glob("*.log"))]
    assert len(logs) == 4
    assert "stopped by" not in logs[0]
    assert re.search(r"stopped by SIGUSR1; step \d+ is saved", logs[1])
    assert re.search(r"stopped by SIGTERM; step \d+ is saved", logs[2])
    assert disturbed.jobs_of("sft")[-1]["Restarts"] == "1"
    assert disturbed.jobs_of("sft")[-1]["JobState"] == "COMPLETED"


def test_a_resumed_log_has_every_step_once(disturbed: Disturbed) -> None:
    import polars

    (folder,) = disturbed.project.artifacts("sft")
    steps = (
        polars.read_parquet(folder / "log.parquet").filter(polars.col("metric") == "loss")["step"].to_list()
    )
    assert steps == sorted(set(steps))
    assert steps[-1] == disturbed.project.record("sft")["facts"]["steps"]


def test_the_bare_command_runs_the_sites_study_and_finds_nothing_to_do(disturbed: Disturbed) -> None:
    code, shown = disturbed.project.finish("snakemake", "--profile", "slurm")
    assert code == 0
    assert "Nothing to be done" in shown
    code, shown = disturbed.project.finish("studyc", "run", "specs/cluster.yaml", "--profile", "slurm")
    assert code == 0
    assert "report of cluster" in shown


@pytest.fixture(scope="session")
def with_gpus(disturbed: Disturbed, cluster: Cluster) -> tuple[int, str, list[dict[str, str]]]:
    """A second study over the same results: one level on the CPU, one that asks for two GPUs; exit code, output, jobs."""
    levels = '"50": {inherits: sft, rows: 50, epochs: 1}\n    "60": {inherits: sft, rows: 60, epochs: 2, gpus: 2}\n'
    text = STUDY.replace("study: cluster", "study: gpus").replace(
        '"100": {inherits: sft, rows: 100}\n', levels
    )
    assert levels in text
    disturbed.project.write_study(text.replace("cells: [{}]", "cells: [{rl: none}]"), "gpus.yaml")
    run = disturbed.project.start("--retries", "0", "--config", "study=specs/gpus.yaml")
    code = run.wait()
    return code, run.output, [job for job in cluster.jobs() if "sft-60" in job.get("Comment", "")]


def test_gpus_of_a_spec_become_gres_of_the_job_and_reach_the_stage(disturbed: Disturbed, with_gpus) -> None:
    job = with_gpus[2][0]
    assert (job["Partition"], job["TresPerNode"], job["TimeLimit"]) == (
        "accelerated",
        "gres:gpu:h100:2",
        "00:13:00",
    )
    (line,) = [
        line
        for line in disturbed.project.trace.read_text().splitlines()
        if "sft-60" in line and "/sft/" in line
    ]
    assert line.startswith(f"{job['JobId']} ")
    assert "gpus=0,1" in line
    assert "--num_processes 2" in line


def test_a_failed_job_says_why_and_the_rest_of_the_study_goes_on(disturbed: Disturbed, with_gpus) -> None:
    code, shown, jobs = with_gpus
    assert code != 0
    assert jobs[-1]["JobState"] == "FAILED"
    _, status = disturbed.project.finish("studyc", "status", "specs/gpus.yaml")
    assert "2 GPUs are asked for and this machine shows none" in status + shown
    done = [
        p for p in disturbed.project.artifacts("score") if "sft-50" in p.name and (p / "record.json").exists()
    ]
    assert done
    assert not [p for p in disturbed.project.artifacts("sample") if "sft-60" in p.name]
