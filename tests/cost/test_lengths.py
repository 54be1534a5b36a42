"""Lengths that are cut: fitted to the mean that people print, and the longest of several, against simulation."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.cost.lengths import fit_lengths


@given(st.floats(0.02, 0.9), st.floats(200, 40_000), st.floats(0.3, 1.5))
def test_the_cut_mean_is_the_one_that_was_asked_for(share: float, limit: float, variation: float) -> None:
    assert fit_lengths(share * limit, limit, variation).mean == pytest.approx(share * limit, rel=1e-6)


def test_moments_and_the_longest_agree_with_draws() -> None:
    lengths, draw = fit_lengths(5_600, 16_384), random.Random(3)
    drawn = [min(lengths.limit, math.exp(draw.gauss(lengths.mu, lengths.sigma))) for _ in range(80_000)]
    assert sum(drawn) / len(drawn) == pytest.approx(lengths.mean, rel=0.01)
    assert sum(x * x for x in drawn) / len(drawn) == pytest.approx(lengths.second_moment, rel=0.02)
    groups = [max(drawn[i : i + 8]) for i in range(0, len(drawn), 8)]
    assert sum(groups) / len(groups) == pytest.approx(lengths.longest_of(8), rel=0.01)
    assert sum(x == lengths.limit for x in drawn) / len(drawn) == pytest.approx(lengths.cut_share, abs=0.005)


def test_eight_ranks_with_r1_traces_wait_for_about_twice_the_mean() -> None:
    lengths = fit_lengths(5_600, 16_384)
    assert 1.8 < lengths.longest_of(8) / lengths.mean < 2.2


@given(st.floats(0, 20_000), st.floats(0, 20_000))
def test_fewer_survive_longer(one: float, other: float) -> None:
    lengths = fit_lengths(3_000, 16_384)
    assert lengths.survival(min(one, other)) >= lengths.survival(max(one, other))
