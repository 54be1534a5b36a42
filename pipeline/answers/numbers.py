r"""Exact numbers: integers, fractions, mixed numbers, decimals, repeating decimals, powers, and sums and products of them.

A text is a number only as a whole. Its value is a fraction, exact at every size: what would take more than `BITS` binary
digits is compared by its residues modulo four primes of up to 521 bits, which no two different numbers of a
response share. Numbers side by side are one only as n a/b, which is n + a/b, or as groups of three digits (1 000).

Two exact numbers agree when they are equal. A decimal is a measurement: equal ones agree, those far apart don't, and between
nothing is said here (`None`): the tolerance is Math-Verify's. A percentage is itself or a hundredth, where the other is none.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

BITS = 60_000
"""Larger values are compared by residues."""

PRIMES = (2**89 - 1, 2**107 - 1, 2**127 - 1, 2**521 - 1)
FAR = Fraction(1, 100_000)
SMALL = Fraction(1, 10_000)

_TOKEN = re.compile(
    r"\s*(?:(?P<number>\d{1,3}(?:(?:,|\{,\})\d{3})+(?!\d)(?:\.\d+)?|\d{1,3}(?: \d{3})+(?!\d)(?! ?/ ?\d)(?:\.\d+)?|\d+\.\d*|\.\d+|\d+)"
    r"|(?P<operator>\\frac|\\cdot(?![A-Za-z])|\\times(?![A-Za-z])|\\div(?![A-Za-z])|[-+*/^(){}!]))"
)
_CODE = re.compile(r"([+-]?(?:\d+\.\d*|\.\d+|\d+))[eE]([+-]?\d{1,3})")
_EULER = re.compile(r"(?!1e)\d+e-\d")
_REPEATED = re.compile(
    r"([+-]?)(\d*)\.(\d*)(?:\\overline\s*\{(\d+)\}|\\overline\s*(\d)|\\bar\s*\{?(\d+)\}?|\\dot\s*\{?(\d)\}?|\((\d+)\))\.{0,3}"
)
_DOTTED = re.compile(r"([+-]?)(\d+)\.(\d+)\s*(?:\\ldots|\.\.\.+)")
_MIXED_FRACTION = re.compile(
    r"\\frac\s*(?:\{\s*(\d+)\s*\}\s*\{\s*(\d+)\s*\}|(\d)\s*(\d)|(\d)\s*\{\s*(\d+)\s*\}|\{\s*(\d+)\s*\}\s*(\d))"
)
_MIXED_SLASH = re.compile(r"(\d+)\s*/\s*(\d+)(?![\d.])")
_PERCENT = re.compile(r"\s*(?:\\?%|(?:\\text\{)?\s*(?:percent|per cent|pct)\s*\}?)\Z", re.IGNORECASE)

Tree = Fraction | tuple[str, "Tree", "Tree"]


class _NoNumberError(Exception):
    pass


@dataclass(frozen=True)
class Number:
    """A number as it was written: its tree of operations, whether it is a decimal, and whether a percentage."""

    tree: Tree
    is_decimal: bool = False
    is_percent: bool = False


@lru_cache(maxsize=2048)
def read_number(text: str) -> Number | None:
    """The number that the whole text is, or None."""
    text = text.strip()
    if not any(character.isdigit() for character in text):
        return None
    plain = _PERCENT.sub("", text)
    is_percent = plain != text
    if (repeated := _read_repeated(plain)) is not None:
        return Number(repeated, False, is_percent)
    if code := _CODE.fullmatch(plain):
        if _EULER.fullmatch(plain):
            return None
        return Number(Fraction(code[1]) * Fraction(10) ** int(code[2]), "." in code[1], is_percent)
    reader = _Reader(plain)
    try:
        tree = reader.read_all()
    except (_NoNumberError, RecursionError):
        return None
    return Number(tree, reader.is_decimal, is_percent)


def _read_repeated(text: str) -> Fraction | None:
    """The value of 0.1(6), 0.1\\overline{6}, or of 0.1666… where one digit comes three times, or more of them twice."""
    if found := _REPEATED.fullmatch(text):
        sign, whole, first = found[1], found[2], found[3]
        period = next(group for group in found.groups()[3:] if group)
    elif found := _DOTTED.fullmatch(text):
        sign, whole, digits = found[1], found[2], found[3]
        repeated = re.search(r"(\d)\1\1+\Z|(\d{2,}?)\2+\d*\Z", digits)
        if not repeated or not (period := repeated[1] or repeated[2]):
            return None
        if repeated[2] and not (period * 9).startswith(digits[repeated.start() :]):
            return None
        first = digits[: repeated.start()]
    else:
        return None
    value = Fraction(int(whole + first or 0), 10 ** len(first))
    value += Fraction(int(period), (10 ** len(period) - 1) * 10 ** len(first))
    return -value if sign == "-" else value


class _Reader:
    """Reads a sum of products of powers from a text, from left to right."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.position = 0
        self.is_decimal = False

    def read_all(self) -> Tree:
        tree = self._sum()
        if self.text[self.position :].strip():
            raise _NoNumberError
        return tree

    def _peek(self) -> str | None:
        found = _TOKEN.match(self.text, self.position)
        return found["operator"] if found else None

    def _take(self, *operators: str) -> str | None:
        found = _TOKEN.match(self.text, self.position)
        if not found or found["operator"] not in operators:
            return None
        self.position = found.end()
        return found["operator"]

    def _sum(self) -> Tree:
        tree = self._product()
        while sign := self._take("+", "-"):
            tree = (sign, tree, self._product())
        return tree

    def _product(self) -> Tree:
        tree = self._signed()
        while True:
            if sign := self._take("*", r"\cdot", r"\times", "/", r"\div"):
                tree = ("/" if sign in ("/", r"\div") else "*", tree, self._signed())
            elif self._peek() == "(" and "/" not in self.text:
                tree = ("*", tree, self._signed())
            else:
                return tree

    def _signed(self) -> Tree:
        if sign := self._take("-", "+"):
            inner = self._signed()
            return ("-", Fraction(0), inner) if sign == "-" else inner
        base = self._atom()
        if self._take("!"):
            if not isinstance(base, Fraction) or base.denominator != 1 or not 0 <= base <= 200:
                raise _NoNumberError
            base = _factorial(int(base))
        if self._take("^"):
            base = ("^", base, self._argument())
        return base

    def _argument(self) -> Tree:
        if self._take("{"):
            tree = self._sum()
            self._expect("}")
            return tree
        if self._take("("):
            tree = self._sum()
            self._expect(")")
            return tree
        found = re.compile(r"\s*(\d)").match(self.text, self.position)
        if not found:
            raise _NoNumberError
        self.position = found.end()
        return Fraction(int(found[1]))

    def _expect(self, operator: str) -> None:
        if not self._take(operator):
            raise _NoNumberError

    def _atom(self) -> Tree:
        if self._take("("):
            tree = self._sum()
            self._expect(")")
            return tree
        if self._take("{"):
            tree = self._sum()
            self._expect("}")
            return tree
        if self._take(r"\frac"):
            return ("/", self._argument(), self._argument())
        found = _TOKEN.match(self.text, self.position)
        if not found or found["number"] is None:
            raise _NoNumberError
        self.position = found.end()
        digits = re.sub(r"[^\d.]", "", found["number"])
        if "." in digits:
            self.is_decimal = True
        elif digits == found["number"] and (mixed := self._rest_of_mixed()) is not None:
            return Fraction(int(digits)) + mixed
        return Fraction(digits.rstrip(".") if digits.endswith(".") else digits)

    def _rest_of_mixed(self) -> Fraction | None:
        """The fraction after an integer, which is added to it: n a/b, n\\frac{a}{b}."""
        start = self.position
        rest = self.text[start:]
        stripped = rest.lstrip()
        found = _MIXED_FRACTION.match(stripped)
        if not found and stripped != rest:
            found = _MIXED_SLASH.match(stripped)
        if not found:
            return None
        numerator, denominator = (int(group) for group in found.groups() if group is not None)
        if denominator == 0:
            raise _NoNumberError
        self.position = start + len(rest) - len(stripped) + found.end()
        return Fraction(numerator, denominator)


def _factorial(value: int) -> Fraction:
    product = 1
    for factor in range(2, value + 1):
        product *= factor
    return Fraction(product)


def value_of(number: Number) -> Fraction | None:
    """The value as a fraction; None where it is too large to be written out, or is none (a division by zero)."""
    try:
        return _evaluate(number.tree)
    except (_NoNumberError, ZeroDivisionError, RecursionError):
        return None


@lru_cache(maxsize=4096)
def _evaluate(tree: Tree) -> Fraction:
    if isinstance(tree, Fraction):
        return tree
    operator, first, second = tree[0], _evaluate(tree[1]), _evaluate(tree[2])
    if operator == "^":
        if second.denominator != 1 or abs(second) > 10**9:
            raise _NoNumberError
        bits = max(first.numerator.bit_length(), first.denominator.bit_length()) * abs(int(second))
        if bits > BITS and abs(first) != 1 and first:
            raise _NoNumberError
        return Fraction(first ** int(second))
    result = _OPERATIONS[operator](first, second)
    if max(result.numerator.bit_length(), result.denominator.bit_length()) > 4 * BITS:
        raise _NoNumberError
    return result


_OPERATIONS: dict[str, Callable[[Fraction, Fraction], Fraction]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
}


def _residue(tree: Tree, prime: int) -> int:
    if isinstance(tree, Fraction):
        return tree.numerator * _inverse(tree.denominator, prime) % prime
    if tree[0] == "^":
        exponent = _evaluate(tree[2])
        if exponent.denominator != 1:
            raise _NoNumberError
        base = _residue(tree[1], prime)
        return pow(base if exponent >= 0 else _inverse(base, prime), abs(int(exponent)), prime)
    first, second = _residue(tree[1], prime), _residue(tree[2], prime)
    if tree[0] == "/":
        return first * _inverse(second, prime) % prime
    return {"+": first + second, "-": first - second, "*": first * second}[tree[0]] % prime


def _inverse(value: int, prime: int) -> int:
    if value % prime == 0:
        raise _NoNumberError
    return pow(value, -1, prime)


def compare_numbers(gold: Number, answer: Number) -> bool | None:
    """Whether two numbers agree; None where a tolerance decides, or where one of them has no value."""
    first, second = value_of(gold), value_of(answer)
    if first is None or second is None:
        return None if gold.is_decimal or answer.is_decimal else _compare_residues(gold, answer)
    pairs = [(first, second)]
    if gold.is_percent != answer.is_percent:
        pairs.append((first / 100, second) if gold.is_percent else (first, second / 100))
    if any(one == other for one, other in pairs):
        return True
    if not gold.is_decimal and not answer.is_decimal:
        return False
    return False if all(_is_far(one, other) for one, other in pairs) else None


def _compare_residues(gold: Number, answer: Number) -> bool | None:
    if gold.is_percent or answer.is_percent:
        return None
    try:
        return all(_residue(gold.tree, prime) == _residue(answer.tree, prime) for prime in PRIMES)
    except (_NoNumberError, ZeroDivisionError, RecursionError):
        return None


def _is_far(gold: Fraction, answer: Fraction) -> bool:
    apart = abs(gold - answer)
    if 0 < abs(gold) < SMALL:
        return apart > abs(gold) / 50
    return apart > FAR
