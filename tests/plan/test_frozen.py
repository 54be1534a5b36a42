"""The frozen plan: what is written is what jobs read, by name; damaged files and other formats are refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipeline.errors import InputError
from pipeline.plan.freeze import freeze, write_frozen
from pipeline.plan.frozen import FrozenPlan, read_frozen
from pipeline.site import Site
from pipeline.stages import Placement
from tests.support.studies import BASIC, compile_text, edited


def write(text: str, folder: Path) -> FrozenPlan:
    """A study frozen, with its plan on disk."""
    plan = compile_text(text, folder)
    frozen = freeze(plan, Site())
    write_frozen(plan, frozen)
    return frozen


def test_a_plan_is_read_as_it_was_frozen(tmp_path: Path) -> None:
    frozen = write(BASIC, tmp_path)
    found = read_frozen(frozen.path)
    assert (found.site, found.studies, found.rules) == (frozen.site, frozen.studies, frozen.rules)
    assert (found.code, found.commit, found.fingerprint) == (frozen.code, frozen.commit, frozen.fingerprint)
    assert list(found.artifacts) == list(frozen.artifacts) and found.configs == frozen.configs
    for key in frozen.artifacts:
        there, here = found.job(key), json.loads(json.dumps(frozen.job(key)))
        assert bool(there["hints"].pop("request", None)) == (found.stage(key) == "report")
        assert there == here and found.waits_for(key) == frozen.waits_for(key)


def test_the_file_is_json_with_names_and_an_artifact_a_line(tmp_path: Path) -> None:
    frozen = write(BASIC, tmp_path)
    text = frozen.path.read_text()
    content = json.loads(text)
    key, entry = next((k, e) for k, e in content["artifacts"].items() if frozen.stage(k) == "sft")
    assert set(entry) == {"config", "seed", "title", "inputs"} and set(entry["inputs"]) == {"data", "policy"}
    config = content["configs"][entry["config"]]
    assert config["stage"] == "sft" and config["placement"] == {
        "environment": "training", "gpus": 0, "processes": 1, "deepspeed": "none",
    }  # fmt: skip
    (line,) = [line for line in text.splitlines() if line.startswith(f'"{key}": ')]
    assert json.loads(line.removesuffix(",").partition(": ")[2]) == entry


def test_where_jobs_run_is_settled_by_their_stages(tmp_path: Path) -> None:
    text = edited(
        ("max_length: 256, precision: fp32}", "max_length: 256, precision: fp32, gpus: 2, deepspeed: zero2}"),
        ("    max_new_tokens: 48\n    precision: fp32\n", "    max_new_tokens: 48\n    precision: fp32\n    gpus: 4\n    rollout_engine: vllm\n"),
        ("sampling: {samples: 2,", "sampling: {engine: vllm, gpus: 1, samples: 2,"),
    )  # fmt: skip
    plan = write(text, tmp_path)
    assert {(plan.stage(key), plan.placement(key)) for key in plan.artifacts} >= {
        ("source", Placement()),
        ("sft", Placement(gpus=2, processes=2, deepspeed="zero2")),
        ("rl", Placement(environment="vllm", gpus=4, processes=4)),
        ("sample", Placement(environment="vllm", gpus=1)),
        ("score", Placement()),
    }


def test_one_job_leads_the_samples_of_a_policy_and_the_others_wait_for_it(tmp_path: Path) -> None:
    measured = "  heldout:\n  again: {data: heldout, samples: 3}\n  apart: {data: heldout, precision: bf16}\n"
    plan = write(edited(("  heldout:\nanalyses", f"{measured}analyses")), tmp_path)
    samples = {key: plan.artifact(key) for key in plan.artifacts if plan.stage(key) == "sample"}
    led = {key: artifact.lead for key, artifact in samples.items() if artifact.lead is not None}
    assert led and all(plan.waits_for(key)[-1] == lead for key, lead in led.items())
    for key, lead in led.items():
        assert samples[key].inputs["policy"] == samples[lead].inputs["policy"]
        assert plan.settled(key).config["precision"] == plan.settled(lead).config["precision"]
        member = next(m for m in samples[lead].hints["family"] if m["key"] == key)
        assert member["inputs"] == plan.job(key)["inputs"] and member["folder"] == plan.job(key)["folder"]
        assert "family" not in samples[key].hints


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda text: text[:-200], "not a frozen plan: its end is missing"),
        (lambda text: text[:200], "not a frozen plan: "),
        (lambda text: text.replace('"format": 2', '"format": 1', 1), "a frozen plan of another format"),
        (lambda text: '{"format": 1, "artifacts": {"k": [0, 0, {}, "", {}]}}', "a frozen plan of another format"),
    ],
)  # fmt: skip
def test_what_is_no_whole_plan_of_this_format_is_refused(damage, said: str, tmp_path: Path) -> None:
    path = write(BASIC, tmp_path).path
    path.write_text(damage(path.read_text()))
    with pytest.raises(InputError, match=said):
        read_frozen(path)


def test_an_artifact_that_a_plan_does_not_have_is_named(tmp_path: Path) -> None:
    plan = write(BASIC, tmp_path)
    for asked in (plan, read_frozen(plan.path)):
        with pytest.raises(InputError, match="has no artifact 'sft-000000000000'"):
            asked.stage("sft-000000000000")
