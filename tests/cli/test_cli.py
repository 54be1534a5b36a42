"""The command line: what it prints, its JSON, its exit codes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from pipeline.cli.main import EXAMPLES, build_parser, main
from tests.support import ROOT
from tests.support.studies import BASIC


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "study.yaml").write_text(BASIC)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_check_says_valid_and_the_size(here: Path, capsys, golden) -> None:
    assert main(["check", "study.yaml"]) == 0
    golden("check.txt", capsys.readouterr().out)


def test_check_warns_of_what_changes_nothing(here: Path, capsys) -> None:
    text = BASIC.replace("recipes:\n", "recipes:\n  stf: {epochs: 1}\n")
    text = text.replace("data:\n", "data:\n  more: {source: {synthetic: chains, rows: 4}}\n", 1)
    text = text.replace("algorithm: rloo\n", "algorithm: rloo\n    loss: dapo\n")
    (here / "study.yaml").write_text(text)
    assert main(["check", "study.yaml", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["warnings"] == [
        "warning: study.yaml:16:5: loss changes nothing without algorithm: grpo",
        "warning: study.yaml:12:3: nothing inherits recipe 'stf'",
        "warning: study.yaml:5:3: nothing uses data 'more'",
    ]


def test_plan_prints_the_counts(here: Path, capsys, golden) -> None:
    assert main(["plan", "study.yaml"]) == 0
    golden("plan.txt", capsys.readouterr().out)
    assert not (here / "results").exists()


def test_plan_json_has_the_documented_shape(here: Path, capsys) -> None:
    assert main(["plan", "study.yaml", "--json"]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert plan["study"] == "basic"
    assert plan["stages"]["sft"] == {"artifacts": 4, "done": 0, "to_run": 4}
    assert plan["total"] == {"artifacts": 54, "done": 0, "to_run": 54}
    assert plan["studies"][0]["trainings"] == {"sft": 4, "rl": 4, "base": 1}


def test_why_tells_an_artifacts_story(here: Path, capsys, golden) -> None:
    assert main(["plan", "study.yaml", "--json"]) == 0
    key = next(a["key"] for a in json.loads(capsys.readouterr().out)["to_run"] if a["stage"] == "rl")
    assert main(["why", key[-12:], "study.yaml"]) == 0
    golden("why.txt", capsys.readouterr().out)
    assert main(["why", "nothing", "study.yaml"]) == 4
    assert "no artifact of study.yaml is called 'nothing'" in capsys.readouterr().err


def test_status_is_a_grid_and_3_while_something_is_left(here: Path, capsys, golden) -> None:
    assert main(["status", "study.yaml"]) == 3
    golden("status.txt", capsys.readouterr().out)


def test_a_report_of_nothing_says_so(here: Path, capsys) -> None:
    assert main(["report", "study.yaml"]) == 3
    assert "incomplete" in capsys.readouterr().out
    assert (here / "results/reports/basic/report.html").exists()


def test_verify_of_nothing_has_no_faults(here: Path, capsys) -> None:
    assert main(["verify", "study.yaml", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"checked": 0, "faults": []}


def test_errors_are_json_where_json_was_asked_for(here: Path, capsys) -> None:
    (here / "study.yaml").write_text(BASIC.replace("rollouts", "rolouts"))
    assert main(["plan", "study.yaml", "--json"]) == 2
    shown = json.loads(capsys.readouterr().out)
    assert shown["exit_code"] == 2
    assert [shown["problems"][0][key] for key in ("file", "line", "column", "what", "remedy")] == [
        "study.yaml", 17, 5, "unknown key 'rolouts'", "Did you mean 'rollouts'?",
    ]  # fmt: skip
    assert main(["check", "nowhere.yaml", "--json"]) == 4
    assert json.loads(capsys.readouterr().out)["problems"] == []


def test_every_command_teaches_with_an_example(capsys) -> None:
    actions = next(a for a in build_parser()._actions if isinstance(getattr(a, "choices", None), dict))
    assert set(actions.choices) == set(EXAMPLES)
    for name in actions.choices:
        with pytest.raises(SystemExit) as ended:
            main([name, "--help"])
        assert ended.value.code == 0
        assert EXAMPLES[name].splitlines()[0] in capsys.readouterr().out


def test_rewards_are_listed_and_described(capsys) -> None:
    assert main(["reward"]) == 0
    assert "powered_length_penalty" in capsys.readouterr().out
    assert main(["reward", "powered_length_penalty"]) == 0
    assert "arXiv:2506.10446" in capsys.readouterr().out
    assert main(["reward", "powerd_length_penalty"]) == 2
    assert "Did you mean 'powered_length_penalty'?" in capsys.readouterr().err


def test_two_studies_of_one_name_are_refused(here: Path, capsys) -> None:
    (here / "again.yaml").write_text(BASIC)
    assert main(["plan", "study.yaml", "again.yaml"]) == 2
    assert "two of the given studies are called 'basic': study.yaml, too" in capsys.readouterr().err


def test_a_file_given_twice_counts_once(here: Path, capsys) -> None:
    (here / "link.yaml").symlink_to("study.yaml")
    assert main(["plan", "study.yaml", "./study.yaml", "link.yaml", "--json"]) == 0
    assert [study["name"] for study in json.loads(capsys.readouterr().out)["studies"]] == ["basic"]


def test_the_lock_file_beside_specs_is_no_study(here: Path, capsys) -> None:
    (here / "hub.lock.yaml").write_text("models: {}\n")
    assert main(["check", *map(str, sorted(here.glob("*.yaml")))]) == 0
    capsys.readouterr()
    assert main(["check", "hub.lock.yaml"]) == 2
    assert "hub.lock.yaml:1:1: this is the lock file" in capsys.readouterr().err


def test_why_without_a_spec_says_which_specs_have_errors(here: Path, capsys) -> None:
    (here / "specs").mkdir()
    (here / "specs/broken.yaml").write_text("study: [\n")
    (here / "specs/fine.yaml").write_text(BASIC)
    assert main(["why", "nothing"]) == 4
    assert "1 of them have errors: specs/broken.yaml" in capsys.readouterr().err
    assert main(["why", "chains"]) == 4
    assert "'chains' fits" in capsys.readouterr().err


def test_the_status_of_a_study_is_its_own(here: Path, capsys) -> None:
    (here / "other.yaml").write_text(
        BASIC.replace("study: basic", "study: other").replace("rl: [acc, plp]", "rl: [acc]")
    )
    assert main(["status", "study.yaml", "other.yaml", "--json"]) == 3
    together = {grid["study"]: grid["totals"] for grid in json.loads(capsys.readouterr().out)}
    for name in ("study.yaml", "other.yaml"):
        main(["status", name, "--json"])
        (alone,) = json.loads(capsys.readouterr().out)
        assert together[alone["study"]] == alone["totals"]


@pytest.mark.parametrize("name", ["my_study", "1.5", "64", "true", "null", "5e-5", "a+b"])
def test_a_new_study_is_valid_whatever_its_name(name: str, here: Path, capsys) -> None:
    assert main(["new", name]) == 0
    (here / "new.yaml").write_text(capsys.readouterr().out)
    assert main(["check", "new.yaml", "--json"]) == 0
    assert list(json.loads(capsys.readouterr().out)["sizes"]) == [name]


def test_an_unsafe_name_of_a_new_study_is_one_message(here: Path, capsys) -> None:
    assert main(["new", "../x"]) == 2
    assert capsys.readouterr().err.splitlines() == [
        "the name '../x' is not safe as a path or shell word",
        "    Use letters, digits and . _ + - after a letter or digit, at most 64.",
    ]


def test_nothing_to_pin_writes_no_lock_file(here: Path, capsys) -> None:
    assert main(["pin", "study.yaml"]) == 0
    assert "nothing to pin" in capsys.readouterr().out
    assert not (here / "hub.lock.yaml").exists()


class Hub(BaseHTTPRequestHandler):
    """The part of the hub's interface that `pin` asks: the commit of a repository."""

    def do_GET(self) -> None:
        name = self.path.removeprefix("/api/models/").removeprefix("/api/datasets/").split("?")[0]
        found = {"org/model": "a" * 40, "org/rows": "b" * 40}.get(name)
        body = json.dumps({"id": name, "sha": found} if found else {"error": "Repository not found"}).encode()
        self.send_response(200 if found else 404)
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


def test_a_lock_file_with_a_short_commit_is_refused(here: Path, capsys) -> None:
    (here / "hub.lock.yaml").write_text("models: {org/model: main}\n")
    assert main(["check", "study.yaml"]) == 2
    assert (
        "hub.lock.yaml:1:21: models: org/model is not pinned to a full commit hash but to 'main'"
        in capsys.readouterr().err
    )
    (here / "study.yaml").write_text(BASIC.replace("question", "quesstion"))
    assert main(["check", "study.yaml"]) == 2
    assert capsys.readouterr().err.endswith("2 errors\n")


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "models:\ndatasets: {}\n"])
def test_an_empty_lock_file_pins_nothing(text: str, here: Path) -> None:
    (here / "hub.lock.yaml").write_text(text)
    assert main(["check", "study.yaml"]) == 0


def test_a_run_does_not_follow_another_folder_than_the_sites(here: Path, capsys) -> None:
    profile = here / "profile"
    profile.mkdir()
    (profile / "site.yaml").write_text("results: /scratch/results\n")
    assert main(["run", "study.yaml", "--profile", str(profile)]) == 6
    shown = capsys.readouterr().err
    assert "site.yaml puts the results into /scratch/results" in shown
    assert "Say --results /scratch/results" in shown
