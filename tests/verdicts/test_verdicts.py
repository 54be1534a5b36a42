"""Verdicts: each status from data that deserve it, Holm over the parts, honest scopes."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.errors import InputError
from pipeline.request.quantities import Mean, Ratio
from pipeline.request.request import CompiledClaim, Part
from pipeline.verdicts.decide import Evidence, combine_statuses, decide, decide_claim, holm_levels
from pipeline.verdicts.paired import Panel, Side

PROBLEMS = tuple(f"p{i:03}" for i in range(200))


def side(mean: float, *, replicates: int = 3, seed: int = 0, spread: float = 0.2, **options: bool) -> Side:
    rng = np.random.default_rng(seed)
    difficulty = np.random.default_rng(99).normal(0, 0.2, 200)
    values = mean + difficulty + rng.normal(0, spread, (replicates, 200))
    return Side((Panel("math500", PROBLEMS, values),), tuple(range(replicates)), **options)


def part(kind: str = "above", **fields) -> Part:
    versus = {} if "value" in fields else {"right": (1,)}
    return Part(label="p", kind=kind, left=(0,), **versus, **fields)


@pytest.mark.parametrize(
    ("kind", "left", "right", "status"),
    [
        ("above", 0.6, 0.4, "supported"),
        ("above", 0.4, 0.6, "refuted"),
        ("below", 0.4, 0.6, "supported"),
        ("below", 0.6, 0.4, "refuted"),
    ],
)
def test_a_clear_difference_is_decided_in_its_direction(kind, left, right, status):
    assert decide(part(kind), Evidence(left=side(left, seed=1), right=side(right, seed=2))).status == status


def test_a_difference_within_noise_is_undecided_and_says_where_the_estimate_lies():
    same = side(0.5, seed=1)
    verdict = decide(part("above"), Evidence(left=same, right=side(0.5, seed=2)))
    assert verdict.status == "undecided"
    expected = "agrees with" if verdict.effect > 0 else "contradicts"
    assert verdict.note == f"the point estimate {expected} the claim"


def test_a_margin_moves_the_threshold_away_from_the_claim():
    evidence = Evidence(left=side(0.6, seed=1), right=side(0.4, seed=2))
    assert decide(part("above", by=0.1), evidence).status == "supported"
    assert decide(part("above", by=0.4), evidence).status == "refuted"
    assert decide(part("below", by=-0.4), evidence).status == "supported"


def test_a_multiple_is_decided_by_the_linear_contrast_and_reports_the_ratio():
    rng = np.random.default_rng(3)
    base = rng.gamma(4, 150, (3, 200))
    short = Side((Panel("m", PROBLEMS, 0.5 * base + rng.normal(0, 10, base.shape)),), (0, 1, 2))
    verdict = decide(
        part("below", times=0.7), Evidence(left=short, right=Side((Panel("m", PROBLEMS, base),), (0, 1, 2)))
    )
    assert verdict.status == "supported"
    ratio, low, high = verdict.ratio
    assert low < ratio < high < 0.7 and ratio == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize(
    ("kind", "value", "status"),
    [
        ("at_least", 0.3, "supported"),
        ("at_least", 0.8, "refuted"),
        ("at_most", 0.8, "supported"),
        ("at_most", 0.3, "refuted"),
        ("at_least", 0.5, "undecided"),
    ],
)
def test_a_level_is_decided_against_its_number(kind, value, status):
    rng = np.random.default_rng(5)
    share = Side((Panel("m", PROBLEMS, rng.binomial(4, 0.5, (3, 200)) / 4),), (0, 1, 2), bounded=True)
    verdict = decide(part(kind, value=value), Evidence(left=share))
    assert verdict.status == status
    assert verdict.effect == pytest.approx(verdict.left - value)


def test_missing_measurements_are_named_and_decide_nothing():
    verdict = decide(part(), Evidence(missing=("qwen · 8k · replicate 1",)))
    assert verdict.status == "incomplete"
    assert verdict.missing == ("qwen · 8k · replicate 1",)
    assert verdict.effect is None and verdict.interval is None


def test_finished_measurements_without_a_value_leave_a_part_undecided_and_count_in_the_number_of_parts():
    known = Evidence(left=side(0.6, seed=1), right=side(0.4, seed=2))
    empty = Evidence(valueless="no problem has a value (tokens where correct)")
    verdict = decide_claim(
        CompiledClaim(name="c", text="", metric="accuracy", parts=(part(), part())), [known, empty]
    )
    assert [v.status for v in verdict.parts] == ["supported", "undecided"] and verdict.status == "undecided"
    assert verdict.parts[1].note == "nothing to decide it on: no problem has a value (tokens where correct)"
    assert verdict.parts[1].effect is None and not verdict.parts[1].missing
    assert verdict.parts[0].level == 1 - 0.05 / 2


@pytest.mark.parametrize("kind", ["above", "ratio"])
def test_sides_whose_values_are_of_other_problems_are_undecided_not_an_error(kind):
    left = Side((Panel("math500", ("a", "b"), np.array([[1.0, 2.0]])),), (0,))
    right = Side((Panel("math500", ("c", "d"), np.array([[1.0, 3.0]])),), (0,))
    given, claimed = Evidence(left=left, right=right), part()
    if kind == "ratio":
        top, bottom = Mean(metric="m", units=(0,)), Mean(metric="m", units=(1,))
        claimed = Part(label="p", kind="at_most", value=2.0, effect=Ratio(top=top, bottom=bottom))
        given = Evidence(leaves={top: left, bottom: right})
    verdict = decide(claimed, given)
    assert verdict.status == "undecided"
    assert verdict.note == "nothing to decide it on: no problem of math500 has a value on both sides"


def test_values_that_never_vary_decide_nothing():
    flat = Side((Panel("m", PROBLEMS, np.full((1, 200), 64.0)),), (0,))
    lower = Side((Panel("m", PROBLEMS, np.full((1, 200), 32.0)),), (0,))
    verdict = decide(part("above"), Evidence(left=flat, right=lower))
    assert verdict.status == "undecided" and "spread cannot be estimated" in verdict.note


def test_no_right_answer_on_either_side_is_not_taken_for_equality():
    zero = Side((Panel("aime24", PROBLEMS[:30], np.zeros((1, 30))),), (0,), bounded=True)
    verdict = decide(part("above", by=-0.02), Evidence(left=zero, right=zero))
    assert verdict.status == "undecided" and "widened" in verdict.note


def test_one_replicate_limits_the_scope_to_the_checkpoints():
    verdict = decide(part(), Evidence(left=side(0.6, replicates=1, seed=1), right=side(0.4, seed=2)))
    assert "says nothing about training noise" in verdict.scope and verdict.n_replicates == 1
    verdict = decide(
        part(), Evidence(left=side(0.6, seed=1), right=side(0.4, replicates=1, seed=2, trained=False))
    )
    assert "3 replicates" in verdict.scope
    untrained = Evidence(
        left=side(0.6, replicates=1, trained=False), right=side(0.4, replicates=1, trained=False)
    )
    assert decide(part(), untrained).scope == "these models as they are, on problems like these"


def test_training_noise_keeps_a_verdict_open_that_one_checkpoint_would_close():
    rng = np.random.default_rng(8)
    noise = np.array([[-0.15], [0.0], [0.15]])
    left = Side((Panel("m", PROBLEMS, 0.06 + noise + rng.normal(0, 0.1, (3, 200))),), (0, 1, 2))
    right = Side((Panel("m", PROBLEMS, rng.normal(0, 0.1, (1, 200))),), (0,), trained=False)
    middle = Side((Panel("m", PROBLEMS, left.panels[0].values[1:2]),), (0,))
    assert decide(part(), Evidence(left=left, right=right)).status == "undecided"
    assert decide(part(), Evidence(left=middle, right=right)).status == "supported"


def test_holm_levels_exclude_the_threshold_exactly_where_holm_rejects():
    p_values = [0.001, 0.04, 0.012, 0.02]
    levels = holm_levels(p_values)
    assert [round(1 - level, 6) for level in levels] == [0.0125, 0.05, 0.016667, 0.025]
    assert [p <= 1 - level for p, level in zip(p_values, levels, strict=True)] == [True, True, True, True]
    stopped = holm_levels([0.03, 0.001, 0.03])
    assert [round(1 - level, 6) for level in stopped] == [0.025, 0.016667, 0.025]
    stopped = holm_levels([0.03, 0.03])
    assert [round(1 - level, 6) for level in stopped] == [0.025, 0.025]


def test_parts_of_one_claim_share_their_error_rate():
    weak = next(
        e
        for e in (Evidence(left=side(0.5 + 0.002 * k, seed=1), right=side(0.5, seed=2)) for k in range(60))
        if decide(part(), e).status == "supported"
    )
    claim = CompiledClaim(name="c", text="", metric="accuracy", parts=(part(),) * 6)
    noise = [Evidence(left=side(0.5, seed=10 + i), right=side(0.5, seed=20 + i)) for i in range(5)]
    assert decide(part(), weak).status == "supported"
    assert decide_claim(claim, [weak, *noise]).parts[0].status == "undecided"


def test_a_missing_part_counts_in_the_number_of_parts():
    evidence = Evidence(left=side(0.6, seed=1), right=side(0.4, seed=2))
    claim = CompiledClaim(name="c", text="", metric="accuracy", parts=(part(), part()))
    verdict = decide_claim(claim, [evidence, Evidence(missing=("x",))])
    assert verdict.status == "incomplete"
    assert verdict.parts[0].status == "supported" and verdict.parts[0].level == pytest.approx(0.975)


@pytest.mark.parametrize(
    ("statuses", "whole"),
    [
        (["supported", "supported"], "supported"),
        (["supported", "undecided"], "undecided"),
        (["undecided", "incomplete"], "incomplete"),
        (["incomplete", "refuted"], "refuted"),
        ([], "incomplete"),
    ],
)
def test_a_claim_is_supported_only_if_every_part_is(statuses, whole):
    assert combine_statuses(statuses) == whole


def test_false_decisions_stay_at_their_rate_when_nothing_differs():
    wrong = 0
    for i in range(300):
        evidence = Evidence(
            left=side(0.5, seed=1000 + i, replicates=2), right=side(0.5, seed=5000 + i, replicates=2)
        )
        wrong += decide(part(), evidence).status != "undecided"
    assert wrong / 300 <= 0.08


def test_a_part_without_exactly_one_comparison_is_refused():
    with pytest.raises(InputError, match="exactly one"):
        Part(label="x", kind="above", left=(0,))
    with pytest.raises(InputError, match="exactly one"):
        Part(label="x", kind="above", left=(0,), right=(1,), value=0.5)
