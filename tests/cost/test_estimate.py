"""Intervals: shared errors add, independent ones join in quadrature, and a formula says what it rests on."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.cost.estimate import Assumed, Cost, Prior, evaluate, total

FOLD = Prior(0.5, 1.0, 2.0)


def _shared(scale: float):
    return lambda assumed: scale * assumed("efficiency", FOLD)


def test_a_shared_error_does_not_cancel_in_a_sum() -> None:
    one, many = evaluate(_shared(1.0)), total(evaluate(_shared(1.0)) for _ in range(54))
    assert many.mid == pytest.approx(54)
    assert many.estimate().fold == pytest.approx(one.estimate().fold)


def test_independent_errors_partly_cancel_in_a_sum() -> None:
    parts = [evaluate(lambda assumed, i=i: assumed(f"own {i}", FOLD)) for i in range(16)]
    assert total(parts).estimate().fold < evaluate(_shared(1.0)).estimate().fold / 1.3


def test_two_factors_of_one_cost_join_in_quadrature() -> None:
    found = evaluate(lambda assumed: assumed("a", FOLD) * assumed("b", FOLD)).estimate()
    assert found.high == pytest.approx(2 ** math.sqrt(2))
    assert found.low == pytest.approx(2 ** -math.sqrt(2))


def test_the_mean_lies_above_the_middle_by_the_spread_of_a_log_normal() -> None:
    found = evaluate(_shared(10.0)).estimate()
    assert found.mean == pytest.approx(10 * math.exp((math.log(2) / 1.2815515655446004) ** 2 / 2))


def test_what_was_measured_replaces_the_prior_and_is_named() -> None:
    known = {"efficiency": Prior.within(0.8, 1.1, "measured 12")}
    found = evaluate(_shared(1.0), known).estimate()
    assert (found.mid, found.basis) == (pytest.approx(0.8), "measured 12")
    assert found.high == pytest.approx(0.88)


def test_a_prior_whose_values_do_not_rise_is_refused() -> None:
    with pytest.raises(ValueError, match="rising"):
        Prior(1.0, 0.5, 2.0)


@given(st.floats(0.1, 1e4), st.floats(1.01, 5), st.integers(1, 40))
def test_scaling_a_cost_scales_its_interval(value: float, fold: float, count: int) -> None:
    cost = evaluate(lambda assumed: value * assumed("x", Prior.within(1.0, fold)))
    many, summed = cost.times(count).estimate(), total([cost] * count).estimate()
    assert many.high == pytest.approx(count * cost.estimate().high)
    assert (many.low, many.high) == (pytest.approx(summed.low), pytest.approx(summed.high))
    assert many.low <= many.mid <= many.mean <= many.high * (1 + 1e-9) or fold > 3


def test_a_falling_formula_has_its_high_value_at_the_priors_low_one() -> None:
    found = evaluate(lambda assumed: 1 / assumed("efficiency", Prior(0.25, 0.5, 1.0))).estimate()
    assert (found.low, found.mid, found.high) == (pytest.approx(1), pytest.approx(2), pytest.approx(4))


def test_nothing_costs_nothing() -> None:
    assert Cost(0.0).estimate().high == 0.0
    assert Assumed()("x", FOLD) == 1.0
