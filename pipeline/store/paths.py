"""The layout of results/: the one place that knows what lies where.

    <stage>/<key>/            an artifact: the files of its stage, and
        record.json           written last; its presence says that the artifact is done (`record`)
        .lock                 held by the process that writes the artifact (`lock`)
        work/                 what a retry may resume from; never part of the artifact
            job.json          what the stage's process is asked for
            facts.json        what it answers
            progress.json     how far it is (`progress`)
            failure.json      why the last attempt ended (`attempts`)
            attempts/<n>.log  the output of each attempt
    plans/<plan>.json         a frozen plan
    plans/code/<digest>/      the package that its jobs run
    logs/                     Snakemake's log of each run, and <stage>/<key>.log of each job
    benchmarks/               <stage>/<key>.tsv of each job, as Snakemake measures it
    reports/<study>/          the page that `studyc report` draws, and index/, links to the artifacts by their cells

Functions that end in `_path` give a Path; those that end in `_text` give plain text, for whom asks about
100,000 artifacts at once: `Path` takes a microsecond per `/`.
"""

from __future__ import annotations

from pathlib import Path

RECORD = "record.json"
WORK = "work"


def artifact_path(results: Path, stage: str, key: str) -> Path:
    """The folder of an artifact."""
    return results / stage / key


def stage_path(results: Path, stage: str) -> Path:
    """The folder of all artifacts of a stage."""
    return results / stage


def record_text(results: Path | str, stage: str, key: str) -> str:
    """The record of an artifact; with `{key}` as its key, the pattern of a stage's records."""
    return f"{results}/{stage}/{key}/{RECORD}"


def work_text(results: Path | str, stage: str, key: str) -> str:
    """The working folder of an artifact."""
    return f"{results}/{stage}/{key}/{WORK}"


def job_log_text(results: Path | str, stage: str, key: str) -> str:
    """Snakemake's log of a job (erased on retries; attempts keep theirs)."""
    return f"{results}/logs/{stage}/{key}.log"


def benchmark_text(results: Path | str, stage: str, key: str) -> str:
    """Snakemake's measurements of a job."""
    return f"{results}/benchmarks/{stage}/{key}.tsv"


def record_path(folder: Path) -> Path:
    """The record in an artifact's folder."""
    return folder / RECORD


def lock_path(folder: Path) -> Path:
    """The file that the writer of an artifact locks."""
    return folder / ".lock"


def work_path(folder: Path) -> Path:
    """The working files of an artifact."""
    return folder / WORK


def job_path(folder: Path) -> Path:
    """What the process of an artifact's stage is asked for."""
    return work_path(folder) / "job.json"


def facts_path(folder: Path) -> Path:
    """What that process answers, written last."""
    return work_path(folder) / "facts.json"


def progress_path(folder: Path) -> Path:
    """How far that process is."""
    return work_path(folder) / "progress.json"


def failure_path(folder: Path) -> Path:
    """Why the last attempt at an artifact ended."""
    return work_path(folder) / "failure.json"


def failure_reserve_path(folder: Path) -> Path:
    """Room on the disk that the note of a failure will take."""
    return work_path(folder) / ".failure.json"


def attempts_path(folder: Path) -> Path:
    """The logs of all attempts at an artifact."""
    return work_path(folder) / "attempts"


def plan_path(results: Path, name: str) -> Path:
    """A frozen plan."""
    return results / "plans" / f"{name}.json"


def code_path(results: Path, digest: str) -> Path:
    """The snapshot of the package that a frozen plan's jobs run."""
    return results / "plans" / "code" / digest


def run_log_path(results: Path, when: str) -> Path:
    """Snakemake's output during one `studyc run`."""
    return results / "logs" / f"run-{when}.log"


def report_path(results: Path, study: str) -> Path:
    """The folder of the page that is drawn for a person."""
    return results / "reports" / study


def index_path(results: Path, study: str) -> Path:
    """The links to a study's artifacts, named by cell, measure and seed."""
    return report_path(results, study) / "index"


def results_of_plan(plan: Path) -> Path:
    """The folder of all artifacts, as seen from a frozen plan."""
    return plan.parent.parent


def results_of_artifact(folder: Path) -> Path:
    """The folder of all artifacts, as seen from one of them."""
    return folder.parent.parent
