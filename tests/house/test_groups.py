"""Tests of one group share a worker: two clusters or two long studies side by side would disturb each other."""

from __future__ import annotations

import pytest


@pytest.mark.xdist_group("groups")
def test_the_scheduler_is_told_a_tests_group(request: pytest.FixtureRequest) -> None:
    """pytest 9.2 with pytest-xdist 3.8 drops the suffix silently, and each test goes to whichever worker is free."""
    if not getattr(request.config.option, "loadgroup", False):
        pytest.skip("not run with --dist loadgroup")
    assert request.node.nodeid.endswith("@groups")
