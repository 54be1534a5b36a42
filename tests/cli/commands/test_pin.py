"""`studyc pin` against a hub on loopback."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from pipeline.cli.main import main
from tests.support import ROOT
from tests.support.studies import BASIC


class Hub(BaseHTTPRequestHandler):
    """The part of the hub's interface that `pin` asks: the commit of a repository."""

    def do_GET(self) -> None:
        name = self.path.removeprefix("/api/models/").removeprefix("/api/datasets/").split("?")[0]
        found = {"org/model": "a" * 40, "org/rows": "b" * 40}.get(name)
        known = {"id": name, "sha": found} if found else {"id": name} if name == "org/empty" else None
        body = json.dumps(known or {"error": "Repository not found"}).encode()
        self.send_response(200 if known else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Silence."""


@pytest.fixture
def hub():
    server = HTTPServer(("127.0.0.1", 0), Hub)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


def pin(folder: Path, endpoint: str, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "HF_ENDPOINT": endpoint,
        "HF_HUB_OFFLINE": "0",
        "PYTHONPATH": str(ROOT),
        "HF_TOKEN": "hf_not_for_the_file",
    }
    command = [sys.executable, "-m", "pipeline", "pin", "study.yaml", *words]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


def test_pin_writes_the_commits_of_models_and_data_sets(here: Path, hub: str, capsys) -> None:
    text = BASIC.replace("    tiny: {tiny:", "    big: org/model\n    tiny: {tiny:")
    text = text.replace(
        "{synthetic: chains, rows: 400, seed: 1, params: {style: short, split: train}}", "{hub: org/rows}"
    )
    (here / "study.yaml").write_text(text)
    assert main(["check", "study.yaml"]) == 0
    assert "2 hub names not pinned" in capsys.readouterr().out
    done = pin(here, hub)
    assert done.returncode == 0, done.stderr
    lock = (here / "hub.lock.yaml").read_text()
    assert f'"org/model": "{"a" * 40}"' in lock and f'"org/rows": "{"b" * 40}"' in lock
    assert "hf_not_for_the_file" not in lock + done.stdout
    assert main(["check", "study.yaml"]) == 0
    assert "not pinned" not in capsys.readouterr().out
    assert "(kept)" in pin(here, hub).stdout


def test_pin_says_when_a_name_or_the_hub_is_not_there(here: Path, hub: str) -> None:
    (here / "study.yaml").write_text(
        BASIC.replace("    tiny: {tiny:", "    big: org/modle\n    tiny: {tiny:")
    )
    missing = pin(here, hub)
    assert (
        missing.returncode == 4 and "model org/modle" in missing.stderr and "Traceback" not in missing.stderr
    )
    unreachable = pin(here, "http://127.0.0.1:9")
    assert unreachable.returncode == 4 and "cannot be reached" in unreachable.stderr
    assert "Traceback" not in unreachable.stderr


def test_pin_writes_nothing_where_the_hub_names_no_commit(here: Path, hub: str) -> None:
    (here / "study.yaml").write_text(
        BASIC.replace("    tiny: {tiny:", "    big: org/empty\n    tiny: {tiny:")
    )
    done = pin(here, hub)
    assert done.returncode == 4 and "model org/empty: the hub names no commit" in done.stderr
    assert not (here / "hub.lock.yaml").exists()
