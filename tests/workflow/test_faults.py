"""Bad input and faults: one clear message or a clean resume; nothing half-written counts as done."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipeline.backend.job_process import execute
from pipeline.cli.main import main
from pipeline.errors import InputError, RefusedError, SpecErrors, StageError, StudyError
from pipeline.plan.compiled import compile_plan
from pipeline.plan.frozen import FrozenPlan, freeze, read_frozen, write_frozen
from pipeline.plan.status import is_locked
from pipeline.site import Site
from pipeline.store.record import is_done, read_record, verify, writer_lock
from tests.support.project import environment
from tests.support.studies import BASIC

pytestmark = pytest.mark.xdist_group("workflow")


def frozen(text: str, folder: Path) -> FrozenPlan:
    """A study frozen in a folder."""
    path = folder / "study.yaml"
    path.write_text(text)
    plan = compile_plan([path], results=folder / "results")
    found = freeze(plan, Site())
    write_frozen(plan, found)
    return read_frozen(found.path)


def make(plan: FrozenPlan, stage: str, *, only: str = "") -> Path:
    """Make the first artifact of a stage and everything that it needs; returns its folder."""
    key = next(k for k in plan.content["artifacts"] if plan.stage(k) == stage and only in k)
    for parent in plan.input_keys(key):
        if not is_done(plan.folder(parent)):
            make(plan, plan.stage(parent), only=parent)
    execute(plan, key)
    return plan.folder(key)


def failure(text: str, folder: Path, stage: str) -> tuple[str, Path]:
    """The message with which a stage ends, and the folder that it leaves."""
    plan = frozen(text, folder)
    with pytest.raises((InputError, StageError)) as caught:
        make(plan, stage)
    key = next(k for k in plan.content["artifacts"] if plan.stage(k) == stage)
    return str(caught.value), plan.folder(key)


def with_file(folder: Path, content: str, name: str = "rows.jsonl") -> str:
    (folder / name).write_text(content)
    source = "{synthetic: chains, rows: 400, seed: 1, params: {style: short, split: train}}"
    assert source in BASIC
    return BASIC.replace(source, f"{{file: {folder / name}}}")


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ("", "no rows|empty"),
        ('{"problem": "1+1", "answer": "2"}\n{"problem": broken}\n', r"rows\.jsonl:2"),
        ('{"question": "1+1", "answer": "2"}\n', "problem"),
    ],
)
def test_an_unusable_file_is_named(content: str, what: str, tmp_path: Path) -> None:
    import re

    message, folder = failure(with_file(tmp_path, content), tmp_path, "source")
    assert re.search(what, message), message
    assert not is_done(folder)


def test_a_file_that_changed_after_planning_is_refused(tmp_path: Path) -> None:
    plan = frozen(with_file(tmp_path, '{"problem": "1+1", "answer": "2", "solution": "2"}\n'), tmp_path)
    (tmp_path / "rows.jsonl").write_text('{"problem": "1+2", "answer": "3", "solution": "3"}\n')
    with pytest.raises(StageError, match=r"rows\.jsonl"):
        make(plan, "source")


def test_a_filter_that_leaves_nothing_is_named_with_its_counts(tmp_path: Path) -> None:
    message, folder = failure(
        BASIC.replace("[deduplicate]", "[deduplicate, {max_chars: 3}]"), tmp_path, "filter"
    )
    assert "max_chars" in message
    assert "300" in message
    assert not is_done(folder)


def test_a_subset_larger_than_what_a_filter_left_says_both_numbers(tmp_path: Path) -> None:
    text = BASIC.replace("[deduplicate]", "[{sample_share: 0.05}]")
    message, _ = failure(text, tmp_path, "subset")
    assert "32" in message or "64" in message


def local_model(tmp_path: Path) -> tuple[FrozenPlan, Path]:
    plan = frozen(BASIC.replace("epochs: 1}]}}", "epochs: 0.1}]}}"), tmp_path)
    return plan, make(plan, "base") / "model"


def with_model(model: Path) -> str:
    start = BASIC.index("    tiny: {tiny:")
    end = BASIC.index("  sft:\n    none:")
    return BASIC[:start] + f"    local: {{path: {model}}}\n" + BASIC[end:]


@pytest.mark.parametrize(
    ("spoil", "what"),
    [
        (
            lambda m: (
                [p.unlink() for p in m.glob("chat_template*")]
                + [_edit_json(m / "tokenizer_config.json", "chat_template", None)]
            ),
            "chat template",
        ),
        (lambda m: (m / "model.safetensors").rename(m / "pytorch_model.bin"), "safetensors"),
        (lambda m: _edit_json(m / "config.json", "vocab_size", 20), "vocab|token|embedding|size|weights"),
    ],
)
def test_a_model_folder_that_cannot_be_trained_is_refused(spoil, what: str, tmp_path: Path) -> None:
    import re

    _, model = local_model(tmp_path)
    copy = tmp_path / "copy"
    shutil.copytree(model, copy)
    spoil(copy)
    (tmp_path / "second").mkdir()
    message, folder = failure(with_model(copy), tmp_path / "second", "base")
    assert re.search(what, message), message
    assert not is_done(folder)


def test_a_folder_that_is_no_model_is_refused_before_anything_runs(tmp_path: Path) -> None:
    (tmp_path / "copy").mkdir()
    with pytest.raises(SpecErrors, match=r"is no model folder: it has no config\.json"):
        frozen(with_model(tmp_path / "copy"), tmp_path)


def _edit_json(path: Path, key: str, value) -> None:
    content = json.loads(path.read_text())
    content.pop(key, None) if value is None else content.update({key: value})
    path.write_text(json.dumps(content))


def test_a_loss_that_is_not_a_number_stops_the_training(tmp_path: Path) -> None:
    text = BASIC.replace(
        "learning_rate: 5e-4, max_length: 256", "learning_rate: 1e30, schedule: constant, max_length: 256"
    )
    message, folder = failure(
        text.replace("epochs: 1, batch_size: 8", "epochs: 8, batch_size: 8"), tmp_path, "sft"
    )
    assert "NaN" in message or "nan" in message or "not finite" in message, message
    assert not is_done(folder)


def test_a_full_disk_is_one_message_and_a_later_run_finishes(tmp_path: Path) -> None:
    """A small file system of its own where we may mount one (as root, as in CI)."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(disk)], capture_output=True
    )
    if mounted.returncode:
        pytest.skip("needs the right to mount a small tmpfs (root)")
    try:
        plan = frozen(BASIC.replace("hidden_size: 32", "hidden_size: 256"), disk)
        with pytest.raises((StageError, OSError)) as caught:
            make(plan, "base")
        assert "No space left" in str(caught.value) or "no space left" in str(caught.value), str(caught.value)
        assert not list((disk / "results" / "base").glob("*/record.json"))
        subprocess.run(["mount", "-o", "remount,size=200m", str(disk)], check=True)
        assert verify(make(plan, "base")) == []
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=False)


def test_two_writers_of_one_artifact_do_not_interleave(tmp_path: Path) -> None:
    """The second waits for the first, and makes the artifact only if the first has not."""
    plan = frozen(BASIC, tmp_path)
    key = next(k for k in plan.content["artifacts"] if plan.stage(k) == "source")
    command = [sys.executable, "-m", "pipeline.backend.job_process", str(plan.path), key]
    with writer_lock(plan.folder(key)):
        second = subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE, text=True)
        assert f"{key}: waits for process {os.getpid()} on" in second.stdout.readline()
        assert not (plan.folder(key) / "work").exists()
    assert second.wait(timeout=120) == 0
    assert is_done(plan.folder(key))
    with writer_lock(plan.folder(key)):
        third = subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE, text=True)
        assert "waits for process" in third.stdout.readline()
        with pytest.raises(RefusedError, match="being written by process"), writer_lock(plan.folder(key)):
            pass
    assert f"{key}: done already" in third.communicate(timeout=120)[0]


def test_verify_goes_on_after_a_record_and_a_file_that_cannot_be_read(tmp_path: Path, capsys) -> None:
    plan = frozen(BASIC, tmp_path)
    filtered = make(plan, "filter")
    (source,) = plan.input_keys(filtered.name)
    (plan.folder(source) / "record.json").write_bytes(b"\0")
    (filtered / "rows.parquet").rename(tmp_path / "kept")
    (filtered / "rows.parquet").symlink_to("/proc/self/mem")  # opens, and cannot be read
    expected = json.loads((filtered / "record.json").read_text())
    expected["files"]["rows.parquet"]["bytes"] = 0
    (filtered / "record.json").write_text(json.dumps(expected))
    words = ["verify", str(tmp_path / "study.yaml"), "--results", str(tmp_path / "results")]
    assert main([*words]) == InputError.exit_code
    shown = capsys.readouterr().out
    assert f"{plan.folder(source) / 'record.json'}: not readable as a record" in shown
    assert f"{filtered / 'rows.parquet'}: not readable: Input/output error" in shown
    assert "2 artifacts checked, 2 faults" in shown


def test_a_file_system_without_locks_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(RefusedError, match="gives no locks: Function not implemented"), writer_lock(tmp_path):
        pass
    assert not is_locked(tmp_path)


CONTENT = {
    "source": "rows.parquet", "filter": "rows.parquet", "mix": "rows.parquet", "subset": "rows.parquet",
    "base": "model/model.safetensors", "sft": "model/model.safetensors", "rl": "model/model.safetensors",
    "checkpoint": "model/model.safetensors", "sample": "completions.parquet", "score": "scores.parquet",
    "analyse": "measures.parquet", "report": "numbers.csv",
}  # fmt: skip


KILLS = [(stage, 0.35) for stage in CONTENT] + [(stage, 0.85) for stage in ("base", "sft", "rl", "sample")]
"""Early for every stage; late as well for those that have working files to resume from."""


@pytest.mark.parametrize(("stage", "share"), KILLS)
def test_a_stage_killed_in_the_middle_resumes_with_the_same_result(
    stage: str, share: float, finished, tmp_path: Path
) -> None:
    """kill -9 of the job and its stage at a share of its usual time; the next run gives the same content."""
    original, _ = finished
    shutil.copytree(original / "results", tmp_path / "results", copy_function=os.link, symlinks=True)
    plan_file = next((tmp_path / "results" / "plans").glob("*.json"))
    plan = json.loads(plan_file.read_text())
    key = next(k for k, entry in plan["artifacts"].items() if plan["configs"][entry[0]]["stage"] == stage)
    folder = tmp_path / "results" / stage / key
    record = read_record(folder)
    expected = content_of(folder / CONTENT[stage])
    shutil.rmtree(folder)
    command = [
        sys.executable,
        "-m",
        "pipeline.backend.job_process",
        str(plan_file.relative_to(tmp_path)),
        key,
    ]
    options = {"cwd": tmp_path, "env": environment(), "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    job = subprocess.Popen(command, start_new_session=True, **options)
    time.sleep(max(0.3, record["seconds"] * share))
    os.killpg(job.pid, signal.SIGKILL)
    job.communicate()
    again = subprocess.run(command, timeout=300, **options)
    assert again.returncode == 0, again.stdout.decode()
    assert verify(folder) == []
    assert content_of(folder / CONTENT[stage]) == expected


def content_of(path: Path):
    """What a file says, whatever its bytes: rows of a table, else the bytes."""
    if path.suffix == ".parquet":
        import polars as pl

        return pl.read_parquet(path).to_dicts()
    return path.read_bytes()


def test_an_input_that_changed_after_it_was_made_is_refused(tmp_path: Path) -> None:
    plan = frozen(BASIC, tmp_path)
    filtered = next(k for k in plan.content["artifacts"] if plan.stage(k) == "filter")
    source = make(plan, "source", only=plan.input_keys(filtered)[0])
    (source / "rows.parquet").write_bytes(b"not a table")
    with pytest.raises(StudyError, match=r"its input .* is damaged: .*rows.parquet: changed"):
        execute(plan, filtered)


def test_an_unforeseen_error_is_a_message_with_its_log(tmp_path: Path) -> None:
    plan = frozen(BASIC, tmp_path)
    filtered = next(k for k in plan.content["artifacts"] if plan.stage(k) == "filter")
    source = make(plan, "source", only=plan.input_keys(filtered)[0])
    rows = source / "rows.parquet"
    rows.write_bytes(b"x" * rows.stat().st_size)  # the right size, not the right content
    with pytest.raises(StageError) as caught:
        execute(plan, filtered)
    assert "log: " in str(caught.value)
    assert "Traceback" not in str(caught.value)
