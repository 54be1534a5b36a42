r"""How many arithmetic operations a response carries out.

The rule (P0 gives none; FACTS 1.6 suggests this one): in `a op b (op c …)` followed by `=`, `≈`, `is` or
`equals` and a number or a bracket, every binary operator counts once. Chains count at each stage:
"2+3+4 = 5+4 = 9" carries out three. Operators are + - * / and × ÷ · − \times \cdot \div; a fraction
\frac{a}{b} of numbers is a division. Signs are no operators; powers, roots and letters are not counted.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from pipeline.fingerprint import Config

NAME = "operations"
SOURCE = "P0 (arXiv:2506.07712), number of calculations; rule declared in FACTS 1.6"
DOC = "Arithmetic operations carried out, one per binary operator of an expression with its result."
COLUMNS = {"operations": "binary operators of numeric expressions that are followed by their result"}

_SAME = (
    (re.compile(r"\\[dt]?frac\{(-?\d+(?:\.\d+)?)\}\{(-?\d+(?:\.\d+)?)\}"), r"(\1/\2)"),
    (re.compile(r"\\times|\\cdot|\\ast|×|·"), "*"),
    (re.compile(r"\\div|÷"), "/"),
    (re.compile("[−–]"), "-"),
    (re.compile(r"\\left|\\right|\\[()\[\],!]|[$&]"), " "),
    (re.compile(r"(?<=\d),(?=\d{3}(?!\d))"), ""),
)
_NUMBER = r"\d++(?:\.\d++)?+"
_OPERAND = rf"[( ]{{0,20}}+[-+]?+[( ]{{0,20}}+{_NUMBER}[) ]{{0,20}}+"
_EXPRESSION = re.compile(rf"(?<![\w.^]){_OPERAND}(?:[-+*/]{_OPERAND})*+")
_RESULT = re.compile(r"(?:=|≈|\\approx|is\b|equals\b)\s*[-+(]{0,20}\s*\d")
_OPERATOR = re.compile(r"(?<=[\d)])\s*[-+*/]")


class Params(Config):
    """None: the rule is the rule."""


def count_operations(text: str) -> int:
    """Operations that one text carries out."""
    for pattern, plain in _SAME:
        text = pattern.sub(plain, text)
    expressions = (match for match in _EXPRESSION.finditer(text) if _RESULT.match(text, match.end()))
    return sum(len(_OPERATOR.findall(match[0])) for match in expressions)


def measure(responses: Sequence[str], params: Params) -> dict[str, list[float] | list[bool]]:
    """Operations of each response."""
    return {"operations": [float(count_operations(text)) for text in responses]}
