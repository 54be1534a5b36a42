r"""Grader `math_verify`: Math-Verify's own reading and comparison, with what it misreads of numbers mended before it."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from math_verify import ExprExtractionConfig, LatexExtractionConfig, parse, verify
from sympy import Expr, Float, UnevaluatedExpr

from pipeline.grading import EXTRACTED_CHARACTERS, TAIL_CHARACTERS, Outcome, Unboxed, find_box

SMALL = 1e-4
HALF_OF_SIX_DECIMALS = 5e-7
FLOAT_NOISE = 1e-14
DIGITS = 40
"""Of numbers that are compared here."""

DOLLAR = re.compile(r"(?<!\\)\$")
DOLLARS = re.compile(r"(?<!\\)\$.*?(?<!\\)\$|\\[A-Za-z]+", re.DOTALL)
_APPROXIMATELY = re.compile(r"\A\s*\\approx")
_POWER = re.compile(r"(?<![\w.\\}])(\d+\.\d*|\.\d+|\d+)[eE]([+-]?\d{1,3})(?![\w.^{])")
_EULER = re.compile(r"(?!1e)\d+e-\d")
_GROUPED = re.compile(r"(?<![\w.\\}])\d{1,3}(?:(?:,\\!|\{,\}|\\[,;:! ]|~| ) ?\d{3})+(?!\d)")
BOXED = (LatexExtractionConfig(boxed_match_priority=0),)
UNBOXED = {
    "answer_phrase": (LatexExtractionConfig(boxed_match_priority=-1, try_extract_without_anchor=False),),
    "last_number": (LatexExtractionConfig(boxed_match_priority=-1), ExprExtractionConfig()),
}


def parse_gold(gold: str, read_box: Callable[[str], list[Any]]) -> list[Any]:
    r"""The gold answer as Math-Verify objects and their text; empty where it is no mathematics.

    A bare answer is read as LaTeX ("\\frac12", "(1, 2]", "20 $cm^2$") by `read_box`; a box, or words around dollars,
    are read like a response.
    """
    text = gold.strip()
    box = find_box(text)
    if box is None and "$" in text and re.search("[A-Za-z]{2}", DOLLARS.sub("", text)):
        found = parse_as(text, UNBOXED["last_number"])
    else:
        found = read_box(box or text)
    return found if any(not isinstance(item, str) for item in found) else []


def parse_response(response: str, unboxed: Unboxed) -> list[Any]:
    """The response's answer as Math-Verify objects and their text; empty where none is found."""
    box = find_box(response)
    if box is not None:
        return _parse_boxed(box)
    if unboxed == "nothing":
        return []
    return parse_as(response[-TAIL_CHARACTERS:], UNBOXED[unboxed])


def judge(response: str, gold: str, *, unboxed: Unboxed, gold_first: bool) -> tuple[Outcome, str | None]:
    """The outcome for one response and the answer found in it, as text; without any time limit."""
    reference = _cached_gold(gold)
    if not reference:
        return "gold_unparsable", find_box(response)
    answer = parse_response(response, unboxed)
    if not answer:
        return "unparsable", None
    first, second = (list(reference), answer) if gold_first else (answer, list(reference))
    right = compare_numbers(reference[0], answer[0])
    if right is None:
        right = verify(first, second, timeout_seconds=None)
    extracted = find_box(response) or next((item for item in answer if isinstance(item, str)), None)
    return ("right" if right else "wrong"), extracted and extracted[:EXTRACTED_CHARACTERS]


def are_numbers(*read: Any) -> bool:
    """Whether all that was read are numbers, and none was left as it is written."""
    return all(isinstance(one, Expr) and one.is_number and not one.has(UnevaluatedExpr) for one in read)


def compare_numbers(gold: Any, answer: Any) -> bool | None:
    """Whether two numbers agree where Math-Verify's absolute tolerances mislead; None where they serve.

    It compares six decimals, or cuts differences off at some 1e-15: of small numbers all would be equal. Below 1e-4
    floats agree to a relative 5e-3 (what six decimals mean there), exact numbers exactly. And where it compares
    exactly, the rounding of floats would count: 8.7·10^8 is 869999999.9999999.
    """
    if not are_numbers(gold, answer):
        return None
    is_exact = not (gold.has(Float) or answer.has(Float))
    try:
        expected = gold.evalf(DIGITS)
        if not expected or (is_exact and abs(expected) >= SMALL):
            return None
        apart = abs((answer.evalf(DIGITS) - expected) / expected)
        if not is_exact and apart < FLOAT_NOISE:
            return True
        if abs(expected) < SMALL:
            return bool(apart < (10.0 ** (5 - DIGITS) if is_exact else HALF_OF_SIX_DECIMALS / SMALL))
    except Exception:  # sympy raises whatever a division by zero, or comparing what is no number, leads it to
        return None
    return None


@lru_cache(maxsize=256)
def _cached_gold(gold: str) -> tuple[Any, ...]:
    return tuple(parse_gold(gold, _parse_boxed))


def _parse_boxed(content: str) -> list[Any]:
    plain = write_numbers_plainly(DOLLAR.sub("", content).strip().removesuffix("."))
    return parse_as(rf"\boxed{{{plain}}}", BOXED)


def write_numbers_plainly(latex: str) -> str:
    r"""1.2e-8 as 1.2 \times 10^{-8}, which Math-Verify reads as 1.2·e − 8, and 10\,000 as 10000, which it reads as 0.

    2e-1 stays as it is: mathematicians mean Euler's number.
    """
    latex = _APPROXIMATELY.sub("", latex)
    latex = _GROUPED.sub(lambda found: re.sub(r"\D", "", found[0]), latex)
    return _POWER.sub(
        lambda found: (
            found[0] if _EULER.fullmatch(found[0]) else rf"{found[1]} \times 10^{{{int(found[2])}}}"
        ),
        latex,
    )


def parse_as(text: str, extraction: tuple[Any, ...]) -> list[Any]:
    return parse(text, extraction_config=extraction, extraction_mode="first_match", parsing_timeout=None)
