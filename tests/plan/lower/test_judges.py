"""Judges in a plan: which artifacts an analysis adds, and what their identity covers."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.plan.compiled import Plan
from pipeline.plan.frozen import freeze
from pipeline.site import Site
from tests.support.studies import BASIC, compile_text, keys_by_stage

JUDGED = BASIC.replace(
    "analyses: [reflection_keywords]",
    """\
policies:
  reader: {tiny: {hidden_size: 32, layers: 1, heads: 2, phases: [{data: [short, long], epochs: 1}]}}
judges:
  gpt: {judge: reflection, engine: openai, model: gpt-4o-mini-2024-07-18, url: https://h/v1, key_variable: KEY}
  local: {judge: reflection, engine: vllm, policy: reader}
analyses: [reflection_keywords, {reflection: {judge: gpt}}, think]""",
)


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    return compile_text(JUDGED, tmp_path)


def test_each_completions_artifact_gets_one_judge_and_the_analysis_reads_both(plan: Plan) -> None:
    counts = plan.counts()
    assert counts["judge"]["artifacts"] == counts["sample"]["artifacts"] == 12
    assert counts["analyse"]["artifacts"] == 3 * 12
    for artifact in plan.artifacts.values():
        if artifact.stage == "analyse" and artifact.settled.config.analysis == "reflection":
            inputs = dict(artifact.inputs)
            (verdicts,) = inputs["verdicts"]
            assert dict(plan.artifacts[verdicts].inputs) == {"completions": inputs["completions"]}


def test_an_analysis_that_counts_tokens_reads_the_policy_that_responded(plan: Plan) -> None:
    for artifact in plan.artifacts.values():
        if artifact.stage == "analyse" and artifact.settled.config.analysis == "think":
            inputs = dict(artifact.inputs)
            assert inputs["policy"] == dict(plan.artifacts[inputs["completions"][0]].inputs)["policy"]


def test_other_analyses_keep_the_fingerprints_that_they_had(plan: Plan, tmp_path: Path) -> None:
    before = keys_by_stage(compile_text(BASIC, tmp_path))
    assert before["analyse"] < keys_by_stage(plan)["analyse"]
    assert before["sample"] == keys_by_stage(plan)["sample"]


def test_a_judge_that_nothing_uses_adds_nothing(plan: Plan) -> None:
    assert not [a for a in plan.artifacts.values() if a.stage == "judge" and dict(a.inputs).get("policy")]


def test_a_local_judge_that_is_the_studys_base_model_shares_its_artifact(tmp_path: Path) -> None:
    plan = compile_text(JUDGED.replace("{judge: gpt}", "{judge: local}"), tmp_path)
    (base,) = [key for key, a in plan.artifacts.items() if a.stage == "base"]
    judges = [a for a in plan.artifacts.values() if a.stage == "judge"]
    assert len(judges) == 12 and all(dict(a.inputs)["policy"] == (base,) for a in judges)


@pytest.mark.parametrize(("judge", "environment"), [("local", "vllm"), ("gpt", "training")])
def test_a_judge_runs_under_the_environment_of_its_engine(
    judge: str, environment: str, tmp_path: Path
) -> None:
    plan = compile_text(JUDGED.replace("{judge: gpt}", f"{{judge: {judge}}}"), tmp_path)
    frozen = freeze(plan, Site())
    found = {frozen.environment(key) for key, a in plan.artifacts.items() if a.stage == "judge"}
    assert found == {environment}


@pytest.mark.parametrize(
    ("edit", "moves"),
    [
        (("model: gpt-4o-mini-2024-07-18", "model: gpt-4o-2024-08-06"), True),
        (("key_variable: KEY", "temperature: 0.5"), True),
        (("key_variable: KEY", "max_new_tokens: 200"), True),
        (("url: https://h/v1", "url: https://elsewhere/v1"), False),
        (("key_variable: KEY", "key_variable: OTHER, parallel: 2, retries: 0, timeout_seconds: 5"), False),
        (("key_variable: KEY", "max_unreadable: 0.5, shard_rows: 7, backoff_seconds: 9"), False),
        (("gpt", "renamed"), False),
    ],
)
def test_what_decides_the_replies_is_identity_and_the_rest_is_not(
    edit: tuple[str, str], moves: bool, plan: Plan, tmp_path: Path
) -> None:
    text = JUDGED.replace("gpt:", "renamed:").replace("judge: gpt}", "judge: renamed}")
    text = text if edit == ("gpt", "renamed") else JUDGED.replace(*edit)
    assert text != JUDGED
    after = keys_by_stage(compile_text(text, tmp_path))
    assert (after["judge"] != keys_by_stage(plan)["judge"]) == moves
    assert after["sample"] == keys_by_stage(plan)["sample"]


def test_a_claim_may_speak_of_a_judged_column(tmp_path: Path) -> None:
    claim = 'claims:\n  thinks: {metric: reflection.reflects, of: {sft: "64"}, above: {sft: none}, where: {rl: none}}\n'
    plan = compile_text(JUDGED.replace("claims:\n", claim), tmp_path)
    assert plan.studies[0].claims[0].metric == "reflection.reflects"
