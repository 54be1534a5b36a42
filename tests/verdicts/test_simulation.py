"""Drawn intervals: coverage of each form on synthetic data, agreement with closed intervals, no verdict without width."""

from __future__ import annotations

import math

import numpy as np
import pytest

from pipeline.request.quantities import Extreme, First, Frontier, Mean, Ratio, Sum, subtract
from pipeline.request.request import Part
from pipeline.verdicts.bootstrap import interpolate_gap, simulate
from pipeline.verdicts.decide import Evidence, decide
from pipeline.verdicts.estimates import estimate_quantity
from pipeline.verdicts.paired import Panel, Side, estimate_contrast

NAMES = tuple(f"p{i:04}" for i in range(2000))


def leaf(index: int) -> Mean:
    return Mean(metric="accuracy", units=(index,))


def draw_sides(rng, means, *, problems=120, replicates=1, sd_replicate=0.03, sd_error=0.3, measure="m"):
    """Sides with common problem difficulties, own errors and own trainings."""
    difficulty = rng.normal(0, 0.3, (1, problems))
    noise = sd_replicate if replicates > 1 else 0.0
    return [
        Side(
            (
                Panel(
                    measure,
                    NAMES[:problems],
                    mean
                    + difficulty
                    + rng.normal(0, noise, (replicates, 1))
                    + rng.normal(0, sd_error, (replicates, problems)),
                ),
            ),
            tuple(range(replicates)),
        )
        for mean in means
    ]


def covers(quantity, sides, truth) -> bool:
    low, high = estimate_quantity(quantity, {leaf(i): side for i, side in enumerate(sides)}).interval()
    return low <= truth <= high


def rate(quantity, means, truth, *, trials=120, seed=1, **options) -> float:
    rng = np.random.default_rng(seed)
    return np.mean([covers(quantity, draw_sides(rng, means, **options), truth) for _ in range(trials)])


SLOPE = Sum(terms=((-0.5, leaf(0)), (0.0, leaf(1)), (0.5, leaf(2))))
BEST = subtract(Extreme(pick="max", among=(leaf(0), leaf(1), leaf(2))), leaf(3))
CUTS = subtract(Ratio(top=leaf(0), bottom=leaf(1)), Ratio(top=leaf(2), bottom=leaf(3)))
DOUBLE = subtract(subtract(leaf(0), leaf(1)), subtract(leaf(2), leaf(3)))


@pytest.mark.parametrize("replicates", [1, 2, 4])
@pytest.mark.parametrize(
    ("quantity", "means", "truth"),
    [
        (SLOPE, (1.0, 1.1, 1.2), 0.1),
        (DOUBLE, (1.0, 0.8, 0.9, 0.8), 0.1),
        (Ratio(top=leaf(0), bottom=leaf(1)), (1.0, 2.0), 0.5),
        (CUTS, (1.0, 2.0, 1.5, 2.0), -0.25),
    ],
    ids=["slope", "difference of differences", "ratio", "difference of ratios"],
)
def test_intervals_of_the_forms_cover_at_their_level(quantity, means, truth, replicates):
    assert rate(quantity, means, truth, replicates=replicates) >= 0.90


@pytest.mark.parametrize("replicates", [1, 3])
@pytest.mark.parametrize("means", [(1.0, 1.0, 1.0, 0.9), (1.0, 0.98, 0.9, 0.9), (1.2, 0.9, 0.8, 0.9)])
def test_the_best_of_several_covers_also_where_several_are_equally_good(means, replicates):
    assert rate(BEST, means, max(means[:3]) - means[3], replicates=replicates) >= 0.90


def test_picking_the_best_does_not_support_a_gain_that_is_not_there():
    rng = np.random.default_rng(4)
    part = Part(label="p", kind="at_least", effect=BEST, value=0.0)
    false = 0
    for _ in range(200):
        sides = draw_sides(rng, (1.0, 1.0, 1.0, 1.0), replicates=1)
        verdict = decide(part, Evidence(leaves={leaf(i): side for i, side in enumerate(sides)}))
        false += verdict.status == "supported"
    assert false / 200 <= 0.03


def test_the_first_level_that_reaches_a_target_is_covered():
    first = First(levels=(leaf(0), leaf(1), leaf(2)), target=leaf(3))
    assert rate(first, (0.80, 1.03, 1.2, 1.0), 2) >= 0.95
    assert rate(first, (0.80, 0.80, 0.8, 1.0), 4) >= 0.95


@pytest.mark.parametrize(
    ("kind", "value", "status"),
    [("at_most", 2.0, "supported"), ("at_least", 2.0, "supported"), ("at_most", 1.0, "refuted")],
)
def test_a_position_may_lie_on_the_number_that_it_is_held_against(kind, value, status):
    sides = draw_sides(np.random.default_rng(0), (0.5, 1.5, 2.0, 1.0), problems=400)
    first = First(levels=(leaf(0), leaf(1), leaf(2)), target=leaf(3))
    verdict = decide(
        Part(label="p", kind=kind, effect=first, value=value),
        Evidence(leaves={leaf(i): side for i, side in enumerate(sides)}),
    )
    assert verdict.interval == (2.0, 2.0) and verdict.status == status


def test_the_first_level_of_one_problem_is_unknown():
    sides = draw_sides(np.random.default_rng(0), (0.5, 1.5, 1.0), problems=1)
    first = First(levels=(leaf(0), leaf(1)), target=leaf(2))
    part = Part(label="p", kind="at_least", effect=first, value=2.5)
    verdict = decide(part, Evidence(leaves={leaf(i): side for i, side in enumerate(sides)}))
    assert verdict.status == "undecided" and verdict.interval == (-math.inf, math.inf)


def test_the_gap_of_two_frontiers_is_covered():
    """Accuracy rises linearly with tokens in both families; ours lies 0.1 above."""
    tokens, gap = (1.0, 2.0, 3.0), 0.1
    pairs = [(leaf(2 * i), leaf(2 * i + 1)) for i in range(6)]
    frontier = Frontier(ours=tuple(pairs[:3]), theirs=tuple(pairs[3:]))
    means = [v for t in tokens for v in (t, 0.2 * t + gap)] + [
        v for t in tokens for v in (t + 0.5, 0.2 * (t + 0.5))
    ]
    assert rate(frontier, means, gap, replicates=1, sd_error=0.2, trials=60) >= 0.9
    assert rate(frontier, means, gap, replicates=3, sd_error=0.2, trials=40) >= 0.9


@pytest.mark.parametrize("replicates", [1, 2, 3, 8])
def test_draws_agree_with_the_closed_interval_of_a_plain_difference(replicates):
    """Equal with one replicate; never much narrower with several, where the closed form combines degrees of freedom."""
    rng = np.random.default_rng(replicates)
    left, right = draw_sides(rng, (1.0, 0.9), replicates=replicates, sd_replicate=0.08)
    closed = estimate_contrast(left, right)
    drawn = simulate([left, right], lambda means: means[0] - means[1])
    assert drawn.value == pytest.approx(closed.value)
    width = (drawn.interval()[1] - drawn.interval()[0]) / (closed.interval()[1] - closed.interval()[0])
    assert (0.97 <= width <= 1.03) if replicates == 1 else (0.85 <= width <= 1.6), width
    if replicates == 1:
        assert drawn.p_value(0.0) == pytest.approx(closed.p_value(0.0), abs=0.01)


def test_draws_are_the_same_for_the_same_sides():
    sides = draw_sides(np.random.default_rng(0), (1.0, 0.9), replicates=3)
    once, again = (simulate(sides, lambda means: means[0] / means[1]) for _ in range(2))
    assert np.array_equal(once.draws[0], again.draws[0])


def test_draws_are_paired_by_problem():
    sides = draw_sides(np.random.default_rng(0), (1.0, 0.9), sd_error=0.01)
    apart = [sides[0], draw_sides(np.random.default_rng(5), (0.9,), sd_error=0.01, measure="other")[0]]
    paired, unpaired = (simulate(s, lambda m: m[0] / m[1]).interval() for s in (sides, apart))
    assert paired[1] - paired[0] < (unpaired[1] - unpaired[0]) / 5


def flat(value: float) -> Side:
    """One value everywhere, but for what arithmetic leaves of it."""
    values = value * (1 + 1e-15 * np.random.default_rng(0).integers(-2, 3, (2, 50)))
    return Side((Panel("m", NAMES[:50], values),), (0, 1))


@pytest.mark.parametrize(
    ("kind", "effect", "bounds"),
    [
        ("at_least", Ratio(top=leaf(0), bottom=leaf(1)), {"value": 0.1}),
        ("between", Ratio(top=leaf(0), bottom=leaf(1)), {"value": 0.1, "high": 9.0}),
        ("above", subtract(leaf(0), leaf(1)), {"value": 0.0}),
        ("at_least", BEST, {"value": -1.0}),
        ("at_least", CUTS, {"value": -1.0}),
        ("at_most", First(levels=(leaf(0),), target=leaf(1)), {"value": 3.0}),
    ],
)
def test_what_never_varies_is_never_decided(kind, effect, bounds):
    sides = {leaf(0): flat(2.0), leaf(1): flat(1.0), leaf(2): flat(2.0), leaf(3): flat(1.0)}
    assert (
        decide(Part(label="p", kind=kind, effect=effect, **bounds), Evidence(leaves=sides)).status
        == "undecided"
    )


def test_a_range_is_supported_inside_refuted_outside_and_open_across():
    rng = np.random.default_rng(3)
    sides = draw_sides(rng, (0.9, 1.0), problems=800, sd_error=0.1)
    given = Evidence(leaves={leaf(0): sides[0], leaf(1): sides[1]})
    ratio = Ratio(top=leaf(0), bottom=leaf(1))
    statuses = [
        decide(Part(label="p", kind="between", effect=ratio, value=low, high=high), given).status
        for low, high in ((0.85, 0.95), (0.95, 1.05), (0.9, 0.95), (0.5, 0.8))
    ]
    assert statuses == ["supported", "refuted", "undecided", "refuted"]


def test_frontiers_without_a_common_range_decide_nothing():
    rng = np.random.default_rng(0)
    sides = draw_sides(rng, (1.0, 0.5, 2.0, 0.6, 8.0, 0.5, 9.0, 0.6))
    pairs = [(leaf(2 * i), leaf(2 * i + 1)) for i in range(4)]
    part = Part(
        label="p", kind="above", effect=Frontier(ours=tuple(pairs[:2]), theirs=tuple(pairs[2:])), value=0.0
    )
    verdict = decide(part, Evidence(leaves={leaf(i): side for i, side in enumerate(sides)}))
    assert verdict.status == "undecided" and math.isnan(verdict.effect) and "no value" in verdict.note


def test_a_gap_is_the_mean_distance_over_the_common_range():
    ours = [(np.array([1.0]), np.array([0.5])), (np.array([3.0]), np.array([0.9]))]
    theirs = [(np.array([4.0]), np.array([0.8])), (np.array([2.0]), np.array([0.4]))]
    assert interpolate_gap(ours, theirs)[0] == pytest.approx(np.mean([0.7 - 0.4, 0.9 - 0.6]))
