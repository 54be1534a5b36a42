"""Data that a model makes: which artifacts stand for them, and for which cells they are made anew."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.plan.compiled import Plan, compile_plan
from tests.support import ROOT

SPEC = """
study: made
replicates: 2
policies:
  outside: {of: {model: big, sft: none}}
  self: {of: {}}
  phase1: {of: {first: own}}
data:
  problems:
    source: {synthetic: chains, rows: 40, seed: 1}
  hard:
    source: {synthetic: chains, rows: 30, seed: 2}
    filters:
      - deduplicate
      - solved_by: {policy: outside, samples: 2, max_new_tokens: 16, at_most: 0.5}
      - max_chars: 2_000
      - judged: {by: reader, keep: [clean]}
  dialogues:
    dialogue: {problems: problems, policy: self, max_new_tokens: 16}
  rounds:
    rejection: {problems: hard, policy: phase1, rounds: [1, 4], max_new_tokens: 16, per_problem: 1}
  uniform:
    rejection: {problems: hard, policy: phase1, match_budget_of: rounds, max_new_tokens: 16}
  distilled:
    sampled: {problems: problems, policy: outside, samples: 3, max_new_tokens: 16, per_problem: 2}
  short:
    compressed: {data: distilled, compressor: outside, keep_rates: [0.5]}
  both:
    mix: [{data: dialogues}, {data: rounds}]
judges:
  reader: {judge: clean_question, engine: openai, model: m, url: "http://127.0.0.1:1/v1"}
recipes:
  sft: {epochs: 1, batch_size: 4, learning_rate: 1e-3, max_length: 64}
factors:
  model:
    tiny: {tiny: {hidden_size: 16, layers: 1, heads: 1, phases: []}}
    big: {tiny: {hidden_size: 32, layers: 1, heads: 1, phases: []}}
  first:
    none:
    own: {inherits: sft, data: dialogues}
  sft:
    none:
    joint: {inherits: sft, data: both}
    rounds: {inherits: sft, data: rounds}
    uniform: {inherits: sft, data: uniform}
    distilled: {inherits: sft, data: distilled}
    short: {inherits: sft, data: short}
chain: [model, {first: sft}, sft]
cells:
  - {first: none}
  - {first: own, sft: [none, rounds]}
sampling: {samples: 1, max_new_tokens: 16}
measure: {problems: }
"""


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    (tmp_path / "made.yaml").write_text(SPEC)
    return compile_plan([tmp_path / "made.yaml"], results=tmp_path / "results")


def _inputs(plan: Plan, key: str) -> dict[str, tuple[str, ...]]:
    return dict(plan.artifacts[key].inputs)


def _of(plan: Plan, stage: str) -> list[str]:
    return [key for key, artifact in plan.artifacts.items() if artifact.stage == stage]


def test_data_of_the_studys_own_policies_are_made_once_per_model(plan: Plan) -> None:
    assert len(_of(plan, "dialogue")) == 2, "one per model: base models have no seed"
    assert len(_of(plan, "solve")) == 2 * 2 * 2, (
        "two entries × two models × two seeds of the phase-1 training"
    )


def test_data_of_an_outside_policy_are_made_once_for_all(plan: Plan) -> None:
    distilled = [
        k
        for k in _of(plan, "synthesise")
        if "completions" in _inputs(plan, k) and "scores" in _inputs(plan, k)
    ]
    assert len(distilled) == 1
    assert len(_of(plan, "compress")) == 1


def test_filters_with_a_model_stand_between_plain_ones_in_their_order(plan: Plan) -> None:
    (judged,) = _of(plan, "judge")
    chain = []
    key = next(k for k in _of(plan, "select") if "verdicts" in _inputs(plan, k))
    while "rows" in _inputs(plan, key):
        chain.append(plan.artifacts[key].stage)
        (key,) = _inputs(plan, key)["rows"]
    assert chain == ["select", "filter", "select", "filter"]
    assert plan.artifacts[_inputs(plan, judged)["rows"][0]].stage == "filter"


def test_the_control_of_equal_budget_reads_the_draws_of_the_rounds(plan: Plan) -> None:
    with_budget = [k for k in _of(plan, "solve") if "budget" in _inputs(plan, k)]
    assert len(with_budget) == 4
    for key in with_budget:
        (rounds,) = _inputs(plan, key)["budget"]
        assert _inputs(plan, rounds)["policy"] == _inputs(plan, key)["policy"]


def test_what_only_a_claim_counts_is_made_for_the_report(tmp_path: Path) -> None:
    untrained = SPEC.replace("    uniform: {inherits: sft, data: uniform}\n", "")
    claim = "claims: {covers: {of: {metric: data.rounds.problems_out}, above: {metric: data.uniform.problems_out}}}\n"
    made = {}
    for name, text in (("plain", untrained), ("claimed", untrained + claim)):
        (tmp_path / f"{name}.yaml").write_text(text)
        found = compile_plan([tmp_path / f"{name}.yaml"], results=tmp_path / "results")
        made[name] = [
            key for key in _of(found, "solve") if "budget" in _inputs(found, key) and key in found.to_run
        ]
    assert made["plain"] == []
    assert len(made["claimed"]) == 1


def test_data_that_no_cell_asks_for_are_neither_planned_nor_missed_by_the_report(tmp_path: Path) -> None:
    path = tmp_path / "study.yaml"
    path.write_text(
        SPEC.replace("cells:\n", "cells:\n  - {model: tiny, first: none, sft: none}\n", 1).replace(
            "data:\n", "data:\n  spare:\n    source: {hub: some/unpinned}\n", 1
        )
    )
    plan = compile_plan([path], results=tmp_path)
    assert not plan.unpinned
    asked = {key for artifact in plan.artifacts.values() for key in artifact.input_keys}
    assert set(plan.artifacts) - asked == {plan.studies[0].report}
    assert {node.key for node in plan.studies[0].request().datasets} <= set(plan.artifacts)
    for place, settled in enumerate(plan.settled):
        assert settled.index == place
    assert {a.settled.index for a in plan.artifacts.values()} == set(range(len(plan.settled)))


def test_sources_of_one_generator_and_their_subsets_are_told_apart_by_the_studys_names(plan: Plan) -> None:
    names = [node.name for node in plan.studies[0].request().datasets]
    assert {"source problems (chains)", "source hard (chains)"} <= set(names)
    twice = {name for name in names if names.count(name) > 1}
    assert not twice


def test_what_a_policy_makes_names_it_in_the_studys_words(plan: Plan) -> None:
    nodes = {node.name: node for node in plan.studies[0].request().datasets}
    (maker,) = [i for i in nodes["sample filter hard"].inputs if i not in plan.artifacts]
    assert maker == "model=big"


def test_data_made_by_a_phase_depend_on_its_training(plan: Plan) -> None:
    for key in _of(plan, "solve"):
        (policy,) = _inputs(plan, key)["policy"]
        assert plan.artifacts[policy].stage == "sft"
        (base,) = _inputs(plan, policy)["policy"]
        assert plan.artifacts[base].stage == "base"


def test_an_edit_of_the_first_phase_changes_what_it_makes_and_nothing_else(
    plan: Plan, tmp_path: Path
) -> None:
    (tmp_path / "made.yaml").write_text(
        SPEC.replace("own: {inherits: sft,", "own: {inherits: sft, weight_decay: 0.1,")
    )
    edited = compile_plan([tmp_path / "made.yaml"], results=tmp_path / "results")
    gone = {plan.artifacts[k].stage for k in set(plan.artifacts) - set(edited.artifacts)}
    assert "dialogue" not in gone and "compress" not in gone
    assert {"sft", "solve", "synthesise"} <= gone


def test_the_example_of_the_documentation_compiles(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "how-to" / "made-data.md").read_text()
    example = page.split("```yaml\n")[1].split("```")[0]
    rest = """
study: example
judges:
  cleaner: {judge: clean_question, engine: vllm, policy: r1}
factors:
  model: {qwen: Qwen/Qwen2.5-0.5B-Instruct}
  sft:
    none:
    dialogues: {data: dialogues, epochs: 1, batch_size: 8, learning_rate: 1e-5}
    both: {data: rejected, epochs: 1, batch_size: 8, learning_rate: 1e-5}
measure: {gsm8k: {samples: 1, max_new_tokens: 512}}
"""
    example = example.replace(
        "  self:", "  llmlingua2: {hub: microsoft/llmlingua-2-xlm-roberta-large-meetingbank}\n  self:"
    )
    (tmp_path / "example.yaml").write_text(rest + example)
    plan = compile_plan([tmp_path / "example.yaml"], results=tmp_path / "results")
    assert {"solve", "dialogue", "synthesise"} <= {artifact.stage for artifact in plan.artifacts.values()}
