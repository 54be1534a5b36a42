"""P0's synthetic arithmetic benchmark (arXiv:2506.07712, FACTS 1.6).

From the paper: the prompt stem, 5 to 15 operations, operands from 1 to 100, the four operators, parentheses,
no spaces, every intermediate result an integer, negative ones allowed. The paper leaves the rest open; chosen
here:

- the number of operations is uniform; operators are uniform, but see the next two;
- integrality: a divisor is drawn uniformly from the proper divisors (2 to operand_max) of what it divides,
  and where there is none (or the dividend is 0) `+`, `-` or `*` is drawn instead, so `/` is rarer than a
  quarter;
- a product beyond `max_magnitude` is not formed: `+` or `-` is drawn instead;
- an operand is a parenthesised sub-expression with probability `parentheses`, never directly after `/`,
  nested at most `max_depth` deep, and the whole expression is never one parenthesis.

The solution lists each operation once, in the order of evaluation, then the boxed answer.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

from pydantic import model_validator

from pipeline.errors import InputError
from pipeline.fingerprint import Config, content, digest
from pipeline.generators import Row, Split, draw_unique

STEM = "Compute the answer to this arithmetic expression: "


class Params(Config):
    """The published ranges, and the choices that the paper leaves open."""

    min_operations: int = content(5, describe="Fewest operations (paper: 5).", ge=1)
    max_operations: int = content(15, describe="Most operations (paper: 15).", ge=1)
    operand_max: int = content(100, describe="Largest operand (paper: 100).", ge=2)
    parentheses: float = content(
        0.15, describe="Probability of a parenthesised operand (chosen).", ge=0, le=0.5
    )
    max_depth: int = content(
        1, describe="Nesting of parentheses (chosen; both published instances: 1).", ge=0
    )
    max_magnitude: int = content(1_000_000, describe="Bound on intermediate results (chosen).", ge=100)
    split: Split = content("all", describe="Which problems: train and test have none in common.")

    @model_validator(mode="after")
    def _ordered(self) -> Params:
        if self.min_operations > self.max_operations:
            raise ValueError(
                f"min_operations {self.min_operations} is above max_operations {self.max_operations}"
            )
        return self


def generate(params: Params, rows: int, seed: int) -> Iterator[Row]:
    """Yield rows with id, problem, answer and a worked solution."""
    space = f"{params.min_operations} to {params.max_operations} operations up to {params.operand_max}"
    yield from draw_unique(
        lambda rng: _draw_row(params, rng), rows=rows, seed=seed, split=params.split, space=space
    )


def evaluate(expression: str) -> tuple[int, list[str]]:
    """(value, operations carried out, each as `a+b=c`) of an expression with the usual precedence.

    InputError for a text that is no such expression or whose division leaves a rest.
    """
    parser = _Parser(expression)
    value = parser.parse_sum()
    if parser.at != len(expression):
        parser.refuse()
    return value, parser.operations


def _draw_row(params: Params, rng: random.Random) -> Row:
    operations = rng.randint(params.min_operations, params.max_operations)
    expression = _Draw(params, rng).draw_sum(operations, depth=0)[0]
    value, steps = evaluate(expression)
    problem = STEM + expression
    return {
        "id": f"arithmetic-{digest(problem)}",
        "problem": problem,
        "answer": str(value),
        "solution": "\n".join([*steps, f"The answer is \\boxed{{{value}}}"]),
    }


class _Draw:
    """Draws one expression from left to right, with the values of the current term and of the sum before."""

    def __init__(self, params: Params, rng: random.Random) -> None:
        self.params, self.rng = params, rng

    def draw_sum(self, operations: int, depth: int) -> tuple[str, int]:
        """(text, value) with exactly this many operations."""
        text, term, used = self._draw_operand(operations - 1, depth)
        total, left = 0, operations - used
        while left:
            left -= 1
            operator = self._draw_operator(term)
            if operator == "/":
                divisor = self.rng.choice(self._divisors(term))
                text, term = f"{text}/{divisor}", term // divisor
                continue
            operand, value, used = self._draw_operand(left, depth)
            left -= used
            if operator == "*" and abs(term * value) > self.params.max_magnitude:
                operator = self.rng.choice("+-")
            text = f"{text}{operator}{operand}"
            if operator == "*":
                term *= value
            else:
                total, term = total + term, value if operator == "+" else -value
        return text, total + term

    def _draw_operator(self, term: int) -> str:
        operator = self.rng.choice("+-*/")
        return self.rng.choice("+-*") if operator == "/" and not self._divisors(term) else operator

    def _draw_operand(self, spare: int, depth: int) -> tuple[str, int, int]:
        """(text, value, operations used): a number, or a parenthesis of at most `spare` operations."""
        is_group = depth < self.params.max_depth and spare > 0 and self.rng.random() < self.params.parentheses
        if not is_group:
            number = self.rng.randint(1, self.params.operand_max)
            return str(number), number, 0
        used = self.rng.randint(1, min(spare, 6))
        text, value = self.draw_sum(used, depth + 1)
        return f"({text})", value, used

    def _divisors(self, term: int) -> list[int]:
        if term == 0:
            return []
        return [number for number in range(2, self.params.operand_max + 1) if term % number == 0]


class _Parser:
    """Recursive descent over + - * / and parentheses; all four are left-associative."""

    def __init__(self, text: str) -> None:
        self.text, self.at = text, 0
        self.operations: list[str] = []

    def refuse(self) -> None:
        raise InputError(
            f"{self.text!r} is not an arithmetic expression: position {self.at + 1}",
            "Write integers, + - * / and parentheses, without spaces.",
        )

    def parse_sum(self) -> int:
        value = self.parse_product()
        while self._peek() in ("+", "-"):
            operator = self._take()
            value = self._apply(operator, value, self.parse_product())
        return value

    def parse_product(self) -> int:
        value = self.parse_operand()
        while self._peek() in ("*", "/"):
            operator = self._take()
            value = self._apply(operator, value, self.parse_operand())
        return value

    def parse_operand(self) -> int:
        if self._peek() == "(":
            self._take()
            value = self.parse_sum()
            if self._peek() != ")":
                self.refuse()
            self._take()
            return value
        begin = self.at
        while self._peek() in "0123456789" and self._peek():
            self.at += 1
        if begin == self.at:
            self.refuse()
        return int(self.text[begin : self.at])

    def _apply(self, operator: str, left: int, right: int) -> int:
        if operator == "/" and (right == 0 or left % right):
            raise InputError(
                f"{self.text!r}: {left}/{right} is not an integer", "Every result must be an integer."
            )
        results = {"+": left + right, "-": left - right, "*": left * right}
        value = left // right if operator == "/" else results[operator]
        self.operations.append(f"{left}{operator}{right}={value}")
        return value

    def _peek(self) -> str:
        return self.text[self.at : self.at + 1]

    def _take(self) -> str:
        self.at += 1
        return self.text[self.at - 1]
