"""Filters that count tokens with a policy of the study: `policy: NAME` in the place of a tokenizer's name."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.errors import SpecErrors
from pipeline.plan.compiled import Plan
from tests.support.studies import compile_text

SPEC = """
study: counted
policies:
  outside: {tiny: {hidden_size: 16, layers: 1, heads: 1}}
  other: {tiny: {hidden_size: 24, layers: 1, heads: 1}}
  self: {of: {}}
  first: {of: {first: some}}
data:
  plain: {source: {synthetic: chains, rows: 20, seed: 1}}
  capped:
    source: {synthetic: chains, rows: 40, seed: 2}
    filters:
      - max_tokens: {tokens: 32, policy: outside}
      - deduplicate
recipes:
  sft: {data: capped, epochs: 1, batch_size: 4, learning_rate: 1e-3, max_length: 64}
factors:
  model:
    small: {tiny: {hidden_size: 16, layers: 1, heads: 2}}
    large: {tiny: {hidden_size: 32, layers: 1, heads: 1}}
  first:
    some: {inherits: sft, data: plain}
  sft:
    "8": {inherits: sft, rows: 8}
    "16": {inherits: sft, rows: 16}
chain: [model, {first: sft}, sft]
sampling: {samples: 1, max_new_tokens: 16}
measure: {plain: }
"""


def filters_of(plan: Plan) -> list[dict[str, tuple[str, ...]]]:
    """The inputs of the plan's filters."""
    return [dict(a.inputs) for a in plan.artifacts.values() if a.stage == "filter"]


def problem_of(text: str, folder: Path) -> str:
    with pytest.raises(SpecErrors) as caught:
        compile_text(text, folder)
    return str(caught.value).replace(f"{folder}/", "")


def test_a_policy_from_outside_filters_once_for_all_models(tmp_path: Path) -> None:
    plan = compile_text(SPEC, tmp_path)
    (inputs,) = filters_of(plan)
    (policy,) = inputs["policy"]
    assert plan.artifacts[policy].stage == "base" and plan.artifacts[policy].title == "policy outside"
    assert plan.counts()["subset"]["artifacts"] == 2


def test_the_word_policy_is_an_input_and_no_parameter(tmp_path: Path) -> None:
    plan = compile_text(SPEC, tmp_path)
    (config,) = [settled.config for settled in plan.settled if settled.stage == "filter"]
    assert [(step.name, step.params) for step in config.filters] == [
        ("max_tokens", {"tokens": 32}), ("deduplicate", {}),
    ]  # fmt: skip
    renamed = compile_text(SPEC.replace("outside", "counter"), tmp_path)
    assert set(renamed.artifacts) == set(plan.artifacts)
    other = compile_text(SPEC.replace("policy: outside", "policy: other"), tmp_path)
    assert filters_of(other)[0]["policy"] != filters_of(plan)[0]["policy"]


def test_a_policy_that_is_a_model_of_the_study_is_one_artifact_with_it(tmp_path: Path) -> None:
    text = SPEC.replace(
        "outside: {tiny: {hidden_size: 16, layers: 1, heads: 1}}",
        "outside: {tiny: {hidden_size: 32, layers: 1, heads: 1}}",
    )
    plan = compile_text(text, tmp_path)
    (counter,) = filters_of(plan)[0]["policy"]
    trained = [dict(a.inputs)["policy"] for a in plan.artifacts.values() if a.stage == "sft"]
    assert (counter,) in trained


def test_the_studys_own_policy_filters_once_per_model(tmp_path: Path) -> None:
    plan = compile_text(SPEC.replace("policy: outside", "policy: self"), tmp_path)
    found = filters_of(plan)
    assert len(found) == 2 and len({inputs["rows"] for inputs in found}) == 1
    assert {plan.artifacts[inputs["policy"][0]].stage for inputs in found} == {"base"}
    for key, artifact in plan.artifacts.items():
        if artifact.stage == "sft" and key.split("-sft-")[1].startswith(("8", "16")):
            inputs = dict(artifact.inputs)
            assert _base_of(plan, inputs["policy"][0]) == _base_of(plan, inputs["data"][0])


def test_a_policy_that_was_trained_counts_too(tmp_path: Path) -> None:
    found = filters_of(plan := compile_text(SPEC.replace("policy: outside", "policy: first"), tmp_path))
    assert [plan.artifacts[inputs["policy"][0]].stage for inputs in found] == ["sft", "sft"]


def test_filters_with_a_model_between_them_may_count_with_two_policies(tmp_path: Path) -> None:
    steps = """\
      - solved_by: {policy: outside, samples: 1, max_new_tokens: 8, at_most: 1.0}
      - max_tokens: {tokens: 16, policy: other}
"""
    plan = compile_text(SPEC.replace("      - deduplicate\n", steps), tmp_path)
    assert len({inputs["policy"] for inputs in filters_of(plan)}) == 2


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("policy: outside", "policy: outsid", "13:42: policy 'outsid' is unknown\n    Did you mean 'outside'?"),
        ("policy: outside", "policy: outside, tokenizer: a/b", "13:34: filter 'max_tokens' has both tokenizer and policy"),
        ("- deduplicate", "- deduplicate: {policy: outside}", "14:23: unknown key 'policy'"),
        (
            "- deduplicate",
            "- max_tokens: {tokens: 16, policy: other}",
            "14:42: filters in a row count with two policies\n    Name one and the same.",
        ),
        ("policies:", "policies:\n  loop: {of: {sft: '8'}}", None),
    ],
)  # fmt: skip
def test_what_cannot_count_is_named_with_its_place(
    old: str, new: str, message: str | None, tmp_path: Path
) -> None:
    text = SPEC.replace(old, new, 1)
    if message is None:
        text = text.replace("policy: outside", "policy: loop")
        message = "data entries need each other in a circle: capped → capped"
    assert message in problem_of(text, tmp_path)


def _base_of(plan: Plan, key: str) -> str:
    """The model that an artifact comes from, through its policy or its rows."""
    while plan.artifacts[key].stage != "base":
        inputs = dict(plan.artifacts[key].inputs)
        key = (inputs.get("policy") or inputs.get("rows"))[0]
    return key
