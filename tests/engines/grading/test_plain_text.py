"""Answers compared as text: what has no meaning is passed over, and nothing else."""

from __future__ import annotations

import pytest

from pipeline.engines.grading.plain_text import is_same_text


@pytest.mark.parametrize(
    ("gold", "answer", "is_same"),
    [
        ("b > a > c", "$b > a>c$.", True),
        (r"\{x|-2\leq x < 1\}", r"\left\{ x \mid -2 \le x \lt 1 \right\}", True),
        (r"\frac{1}{3} E_{1}+\frac{2}{3} E_{2}", r"\dfrac13 E_1 + \dfrac23\,E_2", True),
        (r"E_{1},E_{2}", "E_1, E_2", True),
        (r"E_{1},E_{2}", "E_2, E_1", False),
        (r"E_{1},E_{2}", "e_1, e_2", False),
        (r"E_{1},E_{2}", "E_{12}", False),
        (r"\text{Softball and } x > y > z", r"\text{softball} \text{ and } x > y > z", True),
        (r"\in t > s > r", r"\int > s > r", False),
        ("a > 1 2 > b", "a > 12 > b", False),
        ("a > b > 1.5", "a > b > 15", False),
        ("a > b > c", r"a \geq b \geq c", False),
        ("a > b > -c", "a > b > c", False),
    ],
)
def test_only_what_has_no_meaning_is_passed_over(gold, answer, is_same):
    assert is_same_text(answer, gold) == is_same
