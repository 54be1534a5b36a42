r"""Grader `by_kind`: each answer is read as what it is – a number, a time, an option, words, a list – and compared as that.

What is algebra is left to Math-Verify, written so that it reads what is meant; the rules in order: `pipeline.grading`.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from math_verify import verify
from sympy import Expr, Float, I, Pow, Rational

from pipeline.answers.algebra import write_for_algebra, write_in_radians
from pipeline.answers.compare import compare, is_no_gold
from pipeline.answers.unboxed import write_plainly
from pipeline.engines.grading.by_math_verify import (
    BOXED,
    DIGITS,
    DOLLAR,
    SMALL,
    UNBOXED,
    are_numbers,
    compare_numbers,
    parse_as,
    parse_gold,
    write_numbers_plainly,
)
from pipeline.grading import EXTRACTED_CHARACTERS, TAIL_CHARACTERS, Outcome, Unboxed, find_answer, find_box

MOST_DIGITS = 2_000
"""Of exact numbers with long parts."""


def judge(response: str, gold: str, *, unboxed: Unboxed, gold_first: bool) -> tuple[Outcome, str | None]:
    """The outcome for one response and the answer found in it, as text; without any time limit."""
    expected, found = find_box(gold) or gold, find_answer(response, unboxed)
    if is_no_gold(gold):
        return "gold_unparsable", found
    answer = None if found is not None else parse_response(response, unboxed)
    text = found if answer is None else next((item for item in answer if isinstance(item, str)), None)
    decision = compare(expected, text) if text is not None else None
    if isinstance(decision, bool):
        return ("right" if decision else "wrong"), text and text[:EXTRACTED_CHARACTERS]
    if decision is not None and (decision.gold, decision.answer) != (expected, text):
        gold, answer = decision.gold, _parse_boxed(decision.answer)
    return judge_algebra(response, gold, answer, unboxed=unboxed, gold_first=gold_first)


def judge_algebra(
    response: str, gold: str, answer: list[Any] | None = None, *, unboxed: Unboxed, gold_first: bool
) -> tuple[Outcome, str | None]:
    """The outcome by Math-Verify alone; `answer` is what was read of the response, where that was done."""
    reference = list(_cached_gold(gold))
    found = find_answer(response, unboxed)
    if not reference:
        return "gold_unparsable", found
    if answer is None:
        turned, text = write_in_radians(gold, found) if found else (gold, found)
        reference = list(_cached_gold(turned))
        answer = _parse_boxed(text) if text else parse_response(response, unboxed)
    if not answer:
        return "unparsable", None
    first, second = (reference, answer) if gold_first else (answer, reference)
    right = _compare_numbers(reference[0], answer[0])
    if right is None:
        right = verify(
            first, second, allow_set_relation_comp=gold_first, timeout_seconds=None
        ) or _agree_as_complex(first, second)
    extracted = found or next((item for item in answer if isinstance(item, str)), None)
    return ("right" if right else "wrong"), extracted and extracted[:EXTRACTED_CHARACTERS]


def parse_response(response: str, unboxed: Unboxed) -> list[Any]:
    """The response's answer as Math-Verify objects and their text; empty where none is found."""
    answer = find_answer(response, unboxed)
    if answer is not None:
        return _parse_boxed(answer)
    if unboxed == "nothing":
        return []
    return parse_as(write_plainly(response[-TAIL_CHARACTERS:]), UNBOXED[unboxed])


def _agree_as_complex(first: list[Any], second: list[Any]) -> bool:
    """Whether two expressions agree once i is the imaginary unit, which Math-Verify takes for a variable."""
    one, other = first[0], second[0]
    if not all(isinstance(item, Expr) for item in (one, other)):
        return False
    units = {symbol: I for item in (one, other) for symbol in item.free_symbols if symbol.name == "i"}
    return bool(units) and verify(one.subs(units), other.subs(units), timeout_seconds=None)


def _compare_numbers(gold: Any, answer: Any) -> bool | None:
    """As `by_math_verify.compare_numbers`, but exact numbers that differ in some digit differ, at every size."""
    is_exact = are_numbers(gold, answer) and not (gold.has(Float) or answer.has(Float))
    try:
        if is_exact and abs(gold.evalf(DIGITS)) >= SMALL and not _agree_in_digits(gold, answer):
            return False
    except Exception:  # sympy raises whatever a division by zero, or comparing what is no number, leads it to
        return None
    return compare_numbers(gold, answer)


def _agree_in_digits(gold: Any, answer: Any) -> bool:
    r"""Whether two exact numbers agree in more digits than their parts have: \pi and \pi + 2^{-60} do not."""
    digits = min(4 * DIGITS + 2 * (_count_digits(gold) + _count_digits(answer)), MOST_DIGITS)
    expected = gold.evalf(digits, maxn=4 * MOST_DIGITS)
    return bool(
        abs((answer.evalf(digits, maxn=4 * MOST_DIGITS) - expected) / expected) < Float(10) ** (-digits // 2)
    )


def _count_digits(expression: Any) -> int:
    """About how many digits the integers in an expression have, its integer powers written out."""
    numbers = sum(
        len(str(abs(one.p))) + len(str(one.q)) for one in expression.atoms(Rational) if one.is_finite
    )
    powers = sum(min(abs(int(one.exp)), MOST_DIGITS) for one in expression.atoms(Pow) if one.exp.is_Integer)
    return min(numbers + powers, MOST_DIGITS)


@lru_cache(maxsize=256)
@lru_cache(maxsize=256)
def _cached_gold(gold: str) -> tuple[Any, ...]:
    return tuple(parse_gold(gold, _parse_boxed))


def _parse_boxed(content: str) -> list[Any]:
    plain = write_for_algebra(write_numbers_plainly(DOLLAR.sub("", content).strip().removesuffix(".")))
    return parse_as(rf"\boxed{{{plain}}}", BOXED)
