"""Warm starts: jobs forked from a server that has torch already, and what happens to them when somebody dies."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.backend.warm import client as warm
from pipeline.site import Site
from tests.support import ROOT
from tests.support.project import environment as users_environment

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="warm starts are for Linux")

JOB = """
import json, os, signal, sys, time
print("hello from", sys.argv[1], flush=True)
if sys.argv[1] == "modules":
    print(json.dumps({"torch": "torch" in sys.modules, "pipeline": "pipeline" in sys.modules,
                      "folder": os.getcwd(), "given": os.environ.get("GIVEN"), "lock": os.path.exists(f"/proc/self/fd/{sys.argv[2]}")}))
elif sys.argv[1] == "fail":
    raise ValueError("on purpose")
elif sys.argv[1] == "exit":
    sys.exit(7)
elif sys.argv[1] == "polite":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(5))
    print(os.getpid(), flush=True)
    time.sleep(60)
else:
    print(os.getpid(), flush=True)
    time.sleep(60)
"""


@pytest.fixture(scope="module")
def environment() -> dict[str, str]:
    return {**Site().stage_environment(ROOT), "GIVEN": "by the job"}


@pytest.fixture(scope="module")
def server(environment: dict[str, str]) -> Iterator[None]:
    """A server of our own, even where the whole session has one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv(warm.VARIABLE, raising=False)
        warm.start_server(environment)
        place = Path(os.environ[warm.VARIABLE])
        deadline = time.monotonic() + 120
        while not any(place.iterdir()) and time.monotonic() < deadline:
            time.sleep(0.1)
        yield


@pytest.fixture
def start(server: None, environment: dict[str, str], tmp_path: Path):
    (tmp_path / "warm_job.py").write_text(JOB)

    def begin(*words: str) -> warm.WarmChild:
        lock = os.open(tmp_path / "lock", os.O_CREAT | os.O_RDWR)
        child = warm.start_job("warm_job", list(words), environment, tmp_path, lock)
        os.close(lock)
        assert child is not None
        return child

    return begin


def _is_gone(pid: int) -> bool:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
        except OSError:
            return True
        if state == "Z":
            return True
        time.sleep(0.05)
    return False


def _read_pid(child: warm.WarmChild) -> int:
    child.stdout.readline()
    return int(child.stdout.readline())


def test_a_warm_job_has_torch_and_its_own_environment_and_nothing_of_ours(start, tmp_path: Path) -> None:
    child = start("modules", "4")
    child.stdout.readline()
    seen = json.loads(child.stdout.readline())
    assert seen == {
        "torch": True,
        "pipeline": False,
        "folder": str(Path.cwd()),
        "given": "by the job",
        "lock": True,
    }
    assert child.wait() == 0
    assert child.usage["peak_mb"] > 0


def test_exit_codes_and_tracebacks_come_through(start) -> None:
    child = start("exit")
    child.stdout.read()
    assert child.wait() == 7
    child = start("fail")
    assert b"ValueError: on purpose" in child.stdout.read()
    assert child.wait() == 1


def test_signals_are_passed_on(start) -> None:
    child = start("polite")
    _read_pid(child)
    child.send_signal(signal.SIGTERM)
    assert child.wait() == 5
    child = start("sleep")
    _read_pid(child)
    child.send_signal(signal.SIGTERM)
    assert child.wait() == -signal.SIGTERM


def test_a_job_ends_with_the_process_that_asked_for_it(start) -> None:
    child = start("sleep")
    pid = _read_pid(child)
    child.stdout.close()
    child._connection.close()
    assert _is_gone(pid)


def test_another_environment_for_imports_starts_cold(
    server: None, environment: dict[str, str], tmp_path: Path
) -> None:
    other = {**environment, "HF_HOME": str(tmp_path)}
    assert warm.start_job("warm_job", [], other, tmp_path, 0) is None


def test_everything_ends_with_the_process_that_started_the_server(tmp_path: Path) -> None:
    (tmp_path / "warm_job.py").write_text(JOB)
    script = f"""
import os, sys, time
from pathlib import Path
from pipeline import warm
os.environ.pop(warm.VARIABLE, None)
environment = dict(os.environ)
warm.start_server(environment)
place = Path(os.environ[warm.VARIABLE])
while not any(place.iterdir()):
    time.sleep(0.1)
lock = os.open({str(tmp_path / "lock")!r}, os.O_CREAT | os.O_RDWR)
child = warm.start_job("warm_job", ["sleep"], environment, Path({str(tmp_path)!r}), lock)
child.stdout.readline()
print(child.stdout.readline().decode(), flush=True)
time.sleep(120)
"""
    owner = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    pid = int(owner.stdout.readline())
    owner.kill()
    owner.wait()
    assert _is_gone(pid)


def test_jobs_that_load_a_tokenizer_start_warm_and_those_without_a_model_cold() -> None:
    assert warm.is_heavy("sample", ("policy", "problems")) and warm.is_heavy("base", ())
    assert warm.is_heavy("analyse", ("completions", "policy")), "it counts with the policy's tokenizer"
    assert not warm.is_heavy("analyse", ("completions",)) and not warm.is_heavy("score", ("completions",))


@pytest.mark.parametrize("stage", ["sft", "sample"])
def test_cold_and_warm_starts_give_the_same_artifact(project: Path, server: None, stage: str) -> None:
    (plan,) = (project / "results" / "plans").glob("*.json")
    folder = sorted((project / "results" / stage).iterdir())[0]
    found = {}
    for how in ("cold", "warm"):
        shutil.rmtree(folder)
        given = users_environment()
        if how == "cold":
            given.pop(warm.VARIABLE, None)
        command = [sys.executable, "-m", "pipeline.backend.job_process", str(plan), folder.name]
        subprocess.run(command, cwd=project, env=given, check=True, stdout=subprocess.DEVNULL)
        record = json.loads((folder / "record.json").read_text())
        assert record["usage"]["warm_start"] == (how == "warm")
        found[how] = {
            name: entry for name, entry in record["files"].items() if not name.endswith("log.parquet")
        }
    assert found["cold"] == found["warm"] and found["cold"]
