r"""How an answer is written for Math-Verify, which reads some mathematics as something else.

Signs one way (`signs.write_signs`); \varnothing as \emptyset; upright i, e, \pi as constants; degrees within trigonometric functions as radians; repeating decimals as fractions;
n \frac{a}{b} as the sum; numerals side by side with a comma between.
"""

from __future__ import annotations

import re

from pipeline.answers.numbers import read_number, value_of
from pipeline.answers.signs import join_digits, write_signs

_UPRIGHT = re.compile(
    r"\\(?:mathrm|text|textrm|textnormal|operatorname|mathit|mathsf)\s*\{\s*(i|e|\\pi|\\mathrm\{[ie]\})\s*\}"
)
_ROMAN = re.compile(r"\{\\rm\s+(i|e)\}")
_TRIGONOMETRIC = re.compile(r"\\(?:sin|cos|tan|cot|sec|csc)(?![A-Za-z])")
_DEGREES = re.compile(
    r"(\d+(?:\.\d+)?|[a-z]|\\frac\{\d+\}\{\d+\})\s*\^\s*(?:\{\s*\\circ\s*\}|\\circ(?![A-Za-z]))"
)
_ANY_DEGREES = re.compile(r"\^\s*(?:\{\s*\\circ\s*\}|\\circ(?![A-Za-z]))")
_REPEATING = re.compile(
    r"(?<![\w.])\d+\.\d*(?:\\overline\s*(?:\{\d+\}|\d)|\\dot\s*\{?\d\}?|(?<=\d\.)\(\d+\)|(?<=\d)\(\d+\)(?!\s*[\d(x-z])|(\d)\1\1+(?:\\ldots|\.\.\.+))"
)
_MIXED = re.compile(
    r"(?<![\w.^}\\])(?<!\\frac)(\d+)\s*\\[dt]?frac\s*(?:\{\s*(\d+)\s*\}\s*\{\s*(\d+)\s*\}|(\d)\s*(\d))(?![\d^])"
    r"|(?<![\w.^}\\])(\d+)(?:\s|\\[ ,])+(\d+)\s*/\s*(\d+)(?![\w.^])"
)
_SIDE_BY_SIDE = re.compile(r"(?<![\w.^}\\])(\d+(?:\.\d+)?)(?:\s|\\[ ,;:]|\\q?quad(?![A-Za-z])|~)+(?=\d)")
_MATRIX = r"\begin"


def write_for_algebra(latex: str) -> str:
    """One answer, without dollars, as Math-Verify reads what it means."""
    latex = join_digits(write_signs(latex)).replace(r"\varnothing", r"\emptyset")
    latex = _ROMAN.sub(_write_upright, _UPRIGHT.sub(_write_upright, latex))
    if _TRIGONOMETRIC.search(latex):
        latex = _DEGREES.sub(r"{(\\frac{\1 \\pi}{180})}", latex)
    latex = _REPEATING.sub(_write_repeating, latex)
    if _MATRIX not in latex:
        latex = _SIDE_BY_SIDE.sub(r"\1,", _MIXED.sub(_write_mixed, latex))
    return latex


def _write_upright(found: re.Match[str]) -> str:
    """An upright constant as the constant, apart from letters beside it."""
    constant = r"\pi " if "pi" in found[1] else re.sub("[^ie]", "", found[1].replace("mathrm", ""))
    before, after = found.string[: found.start()][-1:], found.string[found.end() :][:1]
    return " " * before.isalpha() + constant + " " * after.isalpha()


def _write_repeating(found: re.Match[str]) -> str:
    number = read_number(found[0])
    value = value_of(number) if number else None
    return found[0] if value is None else rf"\frac{{{value.numerator}}}{{{value.denominator}}}"


def _write_mixed(found: re.Match[str]) -> str:
    whole, numerator, denominator = (group for group in found.groups() if group is not None)
    return rf"{{({whole}+\frac{{{numerator}}}{{{denominator}}})}}"


def write_in_radians(gold: str, answer: str) -> tuple[str, str]:
    r"""Both as they are, but for degrees where the other side has \pi and no degrees: these become radians."""
    first, second = write_signs(gold), write_signs(answer)
    degrees = [bool(_ANY_DEGREES.search(text)) for text in (first, second)]
    if sum(degrees) != 1 or _TRIGONOMETRIC.search(first + second):
        return gold, answer
    turned, other = (first, second) if degrees[0] else (second, first)
    if r"\pi" not in other or r"\pi" in turned:
        return gold, answer
    turned = _DEGREES.sub(r"{(\\frac{\1 \\pi}{180})}", turned)
    return (turned, other) if degrees[0] else (other, turned)
