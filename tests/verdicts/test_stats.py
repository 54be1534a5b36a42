"""The estimator: coverage by simulation, pairing, pooling of measures, shares at the boundary, ratios."""

from __future__ import annotations

import math

import numpy as np
import pytest

from pipeline.errors import InputError
from pipeline.report.evidence.metrics import linearise_ratio
from pipeline.verdicts.fieller import FiellerRatio, estimate_ratio
from pipeline.verdicts.intervals import wilson
from pipeline.verdicts.paired import (
    EmptySideError,
    Panel,
    Side,
    estimate_contrast,
    estimate_mean,
    pass_at_k,
)


def side(*blocks: np.ndarray, replicates: tuple[int, ...] | None = None, **options: bool) -> Side:
    panels = tuple(
        Panel(f"m{i}", tuple(f"p{j:04}" for j in range(block.shape[1])), np.asarray(block, float))
        for i, block in enumerate(blocks)
    )
    return Side(panels, replicates or tuple(range(blocks[0].shape[0])), **options)


def draw(rng, problems, replicates, sd_replicate, sd_problem, sd_error):
    return (
        rng.normal(0, sd_replicate, (replicates, 1))
        + rng.normal(0, sd_problem, (1, problems))
        + rng.normal(0, sd_error, (replicates, problems))
    )


def covers_zero(estimate) -> bool:
    low, high = estimate.interval()
    return low <= 0 <= high


@pytest.mark.parametrize(
    ("problems", "replicates", "sd_replicate", "sd_problem", "sd_error"),
    [
        (30, 1, 0.0, 0.2, 0.25),
        (30, 2, 0.03, 0.2, 0.25),
        (30, 2, 0.1, 0.2, 0.25),
        (500, 2, 0.05, 0.2, 0.3),
        (500, 2, 0.15, 0.2, 0.3),
        (30, 3, 0.0, 0.2, 0.25),
        (200, 3, 0.1, 0.2, 0.3),
        (1000, 3, 0.04, 0.2, 0.3),
        (30, 3, 0.06, 0.2, 0.25),
        (200, 2, 0.01, 0.2, 0.3),
        (200, 3, 0.05, 0.2, 0.3),
        (200, 5, 0.02, 0.0, 0.3),
        (100, 8, 0.1, 0.2, 0.3),
    ],
)
def test_interval_of_a_mean_covers_at_its_level(problems, replicates, sd_replicate, sd_problem, sd_error):
    rng = np.random.default_rng(7)
    trials = 1200
    hits = sum(
        covers_zero(estimate_mean(side(draw(rng, problems, replicates, sd_replicate, sd_problem, sd_error))))
        for _ in range(trials)
    )
    assert 0.935 <= hits / trials <= 0.995


@pytest.mark.parametrize("right_replicates", [1, 2, 4])
def test_contrast_of_unequal_replicates_covers_at_its_level(right_replicates):
    """Left: four trainings; right: a fixed checkpoint (one row), two trainings, or four paired trainings."""
    rng = np.random.default_rng(11)
    trials, hits = 600, 0
    for _ in range(trials):
        difficulty = rng.normal(0, 1.0, (1, 120))
        left = difficulty + draw(rng, 120, 4, 0.04, 0.2, 0.3)
        right = difficulty + draw(rng, 120, right_replicates, 0.04 if right_replicates > 1 else 0.0, 0.2, 0.3)
        hits += covers_zero(
            estimate_contrast(side(left), side(right, replicates=tuple(range(right_replicates))))
        )
    assert 0.92 <= hits / trials <= 0.99


def test_macro_mean_with_shared_replicates_covers_at_its_level():
    rng = np.random.default_rng(5)
    trials, hits = 600, 0
    for _ in range(trials):
        shared = rng.normal(0, 0.04, (3, 1))
        blocks = [shared + draw(rng, p, 3, 0.01, 0.2, 0.3) for p in (30, 40, 200)]
        hits += covers_zero(estimate_mean(side(*blocks)))
    assert 0.92 <= hits / trials <= 0.99


def test_interval_of_a_share_covers_at_its_level_near_zero():
    rng = np.random.default_rng(3)
    trials, hits = 600, 0
    for _ in range(trials):
        chance = rng.beta(0.2, 3.8, 30)
        low, high = estimate_mean(side(rng.binomial(8, chance)[None] / 8, bounded=True)).interval()
        hits += low <= 0.05 <= high
    assert hits / trials >= 0.90


def test_pairing_by_problem_narrows_the_interval():
    rng = np.random.default_rng(1)
    difficulty = rng.normal(0, 1, (1, 100))
    a, b = difficulty + rng.normal(0, 0.1, (1, 100)), difficulty + rng.normal(0, 0.1, (1, 100))
    paired = estimate_contrast(side(a), side(b))
    apart = estimate_mean(side(a)).variance + estimate_mean(side(b)).variance
    assert paired.variance < apart / 20


def test_problems_are_paired_by_identity_whatever_their_order():
    values = np.arange(10.0)[None]
    ids = tuple(f"p{i}" for i in range(10))
    left = Side((Panel("m", ids, values),), (0,))
    right = Side((Panel("m", ids[::-1], values[:, ::-1] - 1),), (0,))
    estimate = estimate_contrast(left, right)
    assert estimate.value == pytest.approx(1.0)
    assert estimate.variance == pytest.approx(0.0)


def test_a_fixed_checkpoint_adds_no_replicate_term():
    rng = np.random.default_rng(2)
    trained = draw(rng, 50, 3, 0.1, 0.2, 0.2)
    fixed = draw(rng, 50, 1, 0.0, 0.2, 0.2)
    shared = estimate_contrast(side(trained), side(fixed, replicates=(0,)))
    repeated = estimate_contrast(side(trained), side(np.repeat(fixed, 3, axis=0)))
    assert shared.value == pytest.approx(repeated.value)
    assert shared.variance == pytest.approx(repeated.variance)


def test_equal_shares_keep_an_interval_of_positive_width():
    zeros = np.zeros((1, 30))
    low, high = estimate_contrast(side(zeros, bounded=True), side(zeros, bounded=True)).interval()
    assert low < -0.03 and high > 0.03
    low, high = estimate_mean(side(zeros, bounded=True)).interval()
    assert low == 0 and 0.08 < high < 0.16


def test_no_spread_at_all_decides_nothing():
    same = np.full((1, 30), 64.0) + 1e-14 * np.arange(30)  # what arithmetic leaves of equal values
    assert estimate_contrast(side(same), side(same - 8)).p_value(0.0) == 1.0


def test_one_problem_gives_an_endless_interval():
    assert estimate_mean(side(np.array([[3.0]]))).interval() == (-math.inf, math.inf)


def test_p_value_and_interval_agree():
    rng = np.random.default_rng(4)
    plain = estimate_mean(side(rng.normal(0.1, 1, (3, 60))))
    share = estimate_mean(side(rng.binomial(4, 0.3, (2, 60)) / 4, bounded=True))
    for estimate in (plain, share):
        for level in (0.8, 0.95, 0.99):
            for limit in estimate.interval(level):
                assert estimate.p_value(limit) == pytest.approx(1 - level, rel=1e-6)


def test_ratio_interval_holds_the_contrast_that_vanishes():
    rng = np.random.default_rng(6)
    base = rng.gamma(4, 100, (1, 300))
    short = 0.6 * base + rng.normal(0, 20, (1, 300))
    ratio, low, high = estimate_ratio(side(short), side(base))
    assert low < 0.6 < high and low < ratio < high and high - low < 0.05
    assert estimate_contrast(side(short), side(base), times=high).p_value(0) == pytest.approx(0.05, abs=1e-3)


def test_ratio_to_something_that_may_be_zero_has_no_upper_limit():
    rng = np.random.default_rng(8)
    assert (
        estimate_ratio(
            side(np.ones((1, 20)) + rng.normal(0, 0.1, (1, 20))), side(rng.normal(0.1, 2, (1, 20)))
        )[2]
        == math.inf
    )


def test_measures_of_different_problems_are_compared_unpaired():
    rng = np.random.default_rng(9)
    a = Side((Panel("easy", tuple("abcdefgh"), rng.normal(1, 1, (1, 8))),), (0,))
    b = Side((Panel("hard", tuple("stuvwxyz"), rng.normal(0, 1, (1, 8))),), (0,))
    contrast = estimate_contrast(a, b)
    assert contrast.variance == pytest.approx(estimate_mean(a).variance + estimate_mean(b).variance)
    assert contrast.n_problems == 16


def test_sides_without_a_common_problem_are_refused():
    a = Side((Panel("m", ("a", "b"), np.ones((1, 2))),), (0,))
    b = Side((Panel("m", ("c", "d"), np.ones((1, 2))),), (0,))
    with pytest.raises(EmptySideError, match="no problem of m has a value on both sides"):
        estimate_contrast(a, b)


@pytest.mark.parametrize(
    ("n", "c", "k", "expected"), [(8, 0, 4, 0.0), (8, 5, 4, 1.0), (4, 1, 2, 0.5), (8, 3, 1, 3 / 8)]
)
def test_pass_at_k_is_the_unbiased_estimate(n, c, k, expected):
    assert pass_at_k(n, c, k) == pytest.approx(expected)


def test_pass_at_k_beyond_the_samples_is_refused():
    with pytest.raises(InputError, match="pass@8 needs"):
        pass_at_k(4, 2, 8)


def test_wilson_matches_the_published_example():
    """Newcombe 1998, Statistics in Medicine 17:857, table I: 81 of 263 gives 0.2553 to 0.3662."""
    low, high = wilson(81 / 263, 263, 1.959964)
    assert (round(low, 4), round(high, 4)) == (0.2553, 0.3662)


@pytest.mark.parametrize("carriers", [2, 3, 5])
def test_a_metric_that_few_problems_carry_has_their_degrees_of_freedom(carriers):
    """Values linearised around a ratio of which all but a few problems hold nothing."""
    rng = np.random.default_rng(12)
    trials, hits = 600, 0
    for _ in range(trials):
        held = np.zeros((1, 200))
        held[0, :carriers] = 1.0
        values = linearise_ratio(held * rng.normal(0, 50, held.shape), held)
        panel = Panel("m", tuple(f"p{j}" for j in range(200)), values, n_informative=carriers)
        estimate = estimate_mean(Side((panel,), (0,)))
        hits += covers_zero(estimate) and estimate.n_problems == carriers
    assert 0.93 <= hits / trials <= 0.97


def test_a_value_of_one_problem_makes_every_contrast_endless():
    """The one that it holds is its mean: it seems not to vary at all."""
    rng = np.random.default_rng(13)
    names = tuple(f"p{j}" for j in range(30))
    one = Side((Panel("m", names, np.full((1, 30), 900.0), n_informative=1),), (0,))
    many = Side((Panel("m", names, rng.normal(300, 50, (1, 30))),), (0,))
    assert estimate_contrast(one, many).interval() == (-math.inf, math.inf)
    assert estimate_ratio(one, many)[1:] == (0.0, math.inf)


def test_a_share_that_varies_between_trainings_alone_says_so():
    """Two trainings solve all, one none: no problem differs from another, but the next training may do anything."""
    rows = np.ones((3, 30))
    rows[2] = 0.0
    low, high = estimate_mean(side(rows, bounded=True)).interval()
    assert low < 0.05 and high > 0.95


@pytest.mark.parametrize(("top", "bottom"), [(-1.0, 2.0), (0.05, 2.0)])
def test_a_ratio_of_what_may_be_negative_has_an_interval_around_it(top, bottom):
    """Mean rewards: −1 of 2 is −0.5, and near zero both signs are possible."""
    rng = np.random.default_rng(14)
    a = side(top + rng.normal(0, 0.5, (1, 60)))
    b = side(bottom + rng.normal(0, 0.5, (1, 60)))
    ratio = FiellerRatio(((1.0, a),), ((1.0, b),))
    low, high = ratio.interval()
    assert low < ratio.value < high
    assert ratio.p_value(high) == pytest.approx(0.05, abs=1e-3)
    if top < 0:
        assert ratio.p_value(low) == pytest.approx(0.05, abs=1e-3)


def test_three_trainings_do_not_decide_more_null_contrasts_than_promised():
    """One sample of 500 problems, trainings that differ: a component that is taken for zero too often shows here."""
    rng = np.random.default_rng(15)
    trials, wrong = 1500, 0
    for _ in range(trials):
        chance = rng.beta(0.4, 3.6, (1, 500))
        logit = np.log(chance.clip(1e-9) / (1 - chance))
        left, right = (
            rng.binomial(1, 1 / (1 + np.exp(-(logit + rng.normal(0, 0.3, (3, 1)))))).astype(float)
            for _ in range(2)
        )
        wrong += not covers_zero(estimate_contrast(side(left, bounded=True), side(right, bounded=True)))
    assert wrong / trials <= 0.06


def two_prompts(rng, problems=40) -> tuple[Panel, Panel]:
    """The same problems under two prompts: what is hard under one is hard under the other."""
    names = tuple(f"p{i}" for i in range(problems))
    difficulty = rng.normal(0, 0.4, (1, problems))
    return tuple(Panel(m, names, difficulty + rng.normal(0, 0.1, difficulty.shape)) for m in ("a", "b"))


def test_the_mean_over_two_prompts_of_the_same_problems_covers_at_its_level():
    rng = np.random.default_rng(16)
    trials, hits = 600, 0
    for _ in range(trials):
        estimate = estimate_mean(Side(two_prompts(rng), (0,)))
        hits += covers_zero(estimate) and estimate.n_problems == 40
    assert 0.93 <= hits / trials <= 0.98


def test_two_prompts_are_compared_problem_by_problem():
    a, b = (Side((panel,), (0,)) for panel in two_prompts(np.random.default_rng(17)))
    assert estimate_contrast(a, b).variance < (estimate_mean(a).variance + estimate_mean(b).variance) / 5
