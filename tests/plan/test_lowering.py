"""The resolver of lowering: every demand has its rule, is answered once, and a circle of demands is noted once."""

from __future__ import annotations

import inspect
import typing
from pathlib import Path

import pytest

from pipeline.errors import SpecErrors
from pipeline.plan.graph import Graph
from pipeline.plan.lower import demands
from pipeline.plan.lower.demands import Benchmark, DataEntry, JudgeNamed, PolicyLevels
from pipeline.plan.lower.resolver import Resolver, Rules
from pipeline.plan.lower.rules import RULES
from pipeline.spec.read import parse_study
from tests.support.studies import BASIC, MADE, compile_text, edited


def resolver_of(rules: Rules) -> Resolver:
    study, problems = parse_study(BASIC)
    return Resolver(study, Graph(), problems, rules)


def test_every_demand_has_a_rule_that_gives_what_the_demand_promises() -> None:
    kinds = {
        kind
        for name, kind in inspect.getmembers(demands, inspect.isclass)
        if issubclass(kind, demands.Demand) and kind is not demands.Demand and not name.startswith("_")
    }
    assert kinds == RULES.keys()
    for kind, rule in RULES.items():
        hints = typing.get_type_hints(rule)
        (promised,) = typing.get_args(kind.__orig_bases__[0])
        assert hints["demand"] is kind
        assert hints["return"] in (promised, promised | None), rule


def test_a_demand_is_answered_once_also_with_nothing() -> None:
    asked = []

    def answer(resolver: Resolver, demand: Benchmark) -> None:
        asked.append(demand.name)

    resolver = resolver_of({Benchmark: answer})
    for name in ("gsm8k", "math500", "gsm8k"):
        assert resolver.get(Benchmark(name)) is None
    assert asked == ["gsm8k", "math500"]


def test_a_circle_is_noted_at_the_entry_that_it_comes_back_to_wherever_it_is_entered() -> None:
    needs = {
        JudgeNamed("j"): PolicyLevels("p"),
        PolicyLevels("p"): DataEntry("long"),
        DataEntry("long"): JudgeNamed("j"),
    }
    follow = lambda resolver, demand: resolver.get(needs[demand])
    for start in needs:
        resolver = resolver_of(dict.fromkeys((JudgeNamed, PolicyLevels, DataEntry), follow))
        assert resolver.get(start) is None
        (problem,) = resolver.problems
        assert str(problem) == (
            "study.yaml:6:3: data entries need each other in a circle: long → long\n    Remove one of them."
        )


def test_a_circle_without_a_data_entry_is_a_fault_of_the_rules() -> None:
    resolver = resolver_of({Benchmark: lambda resolver, demand: resolver.get(demand)})
    with pytest.raises(RecursionError, match="gsm8k"):
        resolver.get(Benchmark("gsm8k"))


@pytest.mark.parametrize(
    ("old", "new", "circles"),
    [
        ("rounds: [1, 4]", "match_budget_of: rounds", {"both → rounds → rounds", "rounds → rounds"}),
        ("{of: {first: own}}", "{of: {first: own, sft: rounds}}", {"both → rounds → rounds", "rounds → rounds"}),
        ("data:\n", "data:\n  z: {mix: [{data: a}]}\n  a: {mix: [{data: b}]}\n  b: {mix: [{data: a}]}\n", {"z → a → b → a"}),
    ],
)  # fmt: skip
def test_a_circle_through_budgets_policies_or_mixtures_says_its_path(
    old: str, new: str, circles: set[str], tmp_path: Path
) -> None:
    with pytest.raises(SpecErrors) as caught:
        compile_text(MADE.replace(old, new, 1), tmp_path)
    told = {p.what.partition(": ")[2] for p in caught.value.problems if "in a circle" in p.what}
    assert circles <= told


@pytest.mark.parametrize("order", [("acc", "same"), ("same", "acc")])
def test_a_level_is_measured_at_its_own_checkpoints_only(order: tuple[str, str], tmp_path: Path) -> None:
    levels = {
        "acc": "    acc: {inherits: rl, reward: {accuracy: 1}, checkpoints: [2]}\n",
        "same": "    same: {inherits: rl, reward: {accuracy: 1}}\n",
    }
    text = edited(
        (levels["acc"], "".join(levels[name] for name in order)), ("rl: [acc, plp]", "rl: [acc, same, plp]")
    )
    (study,) = compile_text(text, tmp_path).studies
    steps = {(unit.cell["rl"], unit.step) for unit in study.lowered.units}
    assert {step for level, step in steps if level == "acc"} == {2, None}
    assert {step for level, step in steps if level == "same"} == {None}
