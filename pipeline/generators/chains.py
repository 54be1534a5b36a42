"""Chains of sums and differences of one-digit numbers, answered briefly or with self-checks at length.

The miniature of long chain-of-thought supervision (arXiv:2506.07712): problems that a model of a few hundred
thousand weights learns on a CPU, with solutions of two styles that reach the same answer. `short` computes
each step once. `long` turns each step round to check it (`check_steps`), doubts itself and goes over the
whole sum again (`rechecks` to `max_rechecks` times), in the words that P0's keyword detector looks for; with
the defaults it takes about five times as many tokens.
Guaranteed: no intermediate result is negative unless `negatives`; both styles of one problem share its id.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from typing import Literal

from pydantic import model_validator

from pipeline.fingerprint import Config, content, digest
from pipeline.generators import Row, Split, draw_unique

PHRASES = (
    "What is ",
    "?",
    "The answer is ",
    "\\boxed{",
    "}",
    "Let me think step by step.",
    "Wait, let me recheck: ",
    ", which is right.",
    "Let me verify again from the start.",
    "Hmm, let me go over the steps once more.",
    "Both ways agree on ",
)
"""Every connecting phrase; a tiny tokenizer gives each a token of its own."""


Style = Literal["short", "long"]


class Params(Config):
    """What is asked and how it is answered."""

    min_steps: int = content(2, describe="Fewest operations of a problem.", ge=1)
    max_steps: int = content(4, describe="Most operations of a problem.", ge=1, le=12)
    largest: int = content(
        9, describe="Largest number in a question; smaller ones are learnt sooner.", ge=2, le=9
    )
    style: Style = content("short", describe="Style of the solution.")
    rechecks: int = content(
        1, describe="Fewest times that a long solution goes over the whole sum again.", ge=0, le=8
    )
    max_rechecks: int | None = content(
        None, describe="Most such times, drawn per problem; absent: always the fewest.", ge=0, le=8
    )
    check_steps: bool = content(True, describe="Whether a long solution turns each step round to check it.")
    think: bool = content(
        False, describe="Whether a long solution stands between <think> and </think>, the answer after it."
    )
    negatives: bool = content(False, describe="Whether intermediate results may be negative.")
    instruction: str = content(
        "",
        describe="Text after every question, e.g. that the answer be brief; splits know the question alone.",
    )
    split: Split = content("all", describe="Which problems: train and test have none in common.")

    @model_validator(mode="after")
    def _ordered(self) -> Params:
        if self.min_steps > self.max_steps:
            raise ValueError(f"min_steps {self.min_steps} is above max_steps {self.max_steps}")
        if self.max_rechecks is not None and self.max_rechecks < self.rechecks:
            raise ValueError(f"rechecks {self.rechecks} is above max_rechecks {self.max_rechecks}")
        return self


def generate(params: Params, rows: int, seed: int) -> Iterator[Row]:
    """Yield rows with id, problem, answer and solution; the style changes the solutions only."""
    space = f"{params.min_steps} to {params.max_steps} steps on one-digit numbers"
    for row in draw_unique(
        lambda rng: draw_row(params, rng), rows=rows, seed=seed, split=params.split, space=space
    ):
        yield instruct(row, params.instruction)


def instruct(row: Row, instruction: str) -> Row:
    """The same question with an instruction after it: another problem, of the same split."""
    if not instruction:
        return row
    problem = row["problem"] + instruction
    return row | {"id": f"{row['id'].partition('-')[0]}-{digest(problem)}", "problem": problem}


def draw_row(params: Params, rng: random.Random) -> Row:
    """One problem with its solution."""
    start, steps = draw_sum(params, rng)
    problem = write_problem(start, steps)
    answer = str(follow(start, steps)[-1])
    write = write_short if params.style == "short" else write_long
    return {
        "id": f"chains-{digest(problem)}",
        "problem": problem,
        "answer": answer,
        "solution": write(params, start, steps),
    }


def draw_sum(params: Params, rng: random.Random) -> tuple[int, list[tuple[str, int]]]:
    """The first number of a problem, and its operations."""
    value = start = rng.randint(1, params.largest)
    steps = []
    for _ in range(rng.randint(params.min_steps, params.max_steps)):
        operator, number = rng.choice("+-"), rng.randint(1, params.largest)
        if operator == "-" and number > value and not params.negatives:
            operator = "+"
        value += number if operator == "+" else -number
        steps.append((operator, number))
    return start, steps


def write_problem(start: int, steps: list[tuple[str, int]]) -> str:
    """The question."""
    return f"What is {start}{''.join(f'{operator}{number}' for operator, number in steps)}?"


def read_problem(problem: str) -> tuple[int, list[tuple[str, int]]]:
    """The first number and the operations of a question that `write_problem` wrote."""
    start, *steps = re.findall(r"[+-]?\d+", problem)
    return int(start), [(step[0], int(step[1:])) for step in steps]


def solve(problem: str, style: Style, *, checks: bool = True, rechecks: int = 1) -> str:
    """The solution of a question in one style."""
    params = Params(style=style, check_steps=checks, rechecks=rechecks)
    write = write_short if style == "short" else write_long
    return write(params, *read_problem(problem))


def follow(start: int, steps: list[tuple[str, int]]) -> list[int]:
    """The first number, then the result of every operation."""
    values = [start]
    for operator, number in steps:
        values.append(values[-1] + number if operator == "+" else values[-1] - number)
    return values


def write_steps(start: int, steps: list[tuple[str, int]], *, checked: bool) -> str:
    """One line per operation, turned round to check it where `checked`."""
    values = follow(start, steps)
    lines = []
    for (operator, number), before, after in zip(steps, values, values[1:], strict=False):
        line = f"{before}{operator}{number}={after}"
        if checked:
            inverse = "-" if operator == "+" else "+"
            line += f"\nWait, let me recheck: {after}{inverse}{number}={before}, which is right."
        lines.append(line + "\n")
    return "".join(lines)


def write_short(params: Params, start: int, steps: list[tuple[str, int]]) -> str:
    """A solution that computes each step once."""
    answer = follow(start, steps)[-1]
    return f"{write_steps(start, steps, checked=False)}The answer is \\boxed{{{answer}}}"


def write_long(params: Params, start: int, steps: list[tuple[str, int]], trace: int = 0) -> str:
    """A self-checking solution; each `trace` of a problem has a number of second looks of its own."""
    answer = follow(start, steps)[-1]
    text = "Let me think step by step.\n" + write_steps(start, steps, checked=params.check_steps)
    # Drawn from the problem, not from the stream of problems: the style must not change which problems come.
    luck = random.Random(f"rechecks:{start}{steps}" + (f":{trace}" if trace else ""))
    most = params.rechecks if params.max_rechecks is None else params.max_rechecks
    for turn in range(luck.randint(params.rechecks, most)):
        doubt = (
            "Let me verify again from the start."
            if turn % 2 == 0
            else "Hmm, let me go over the steps once more."
        )
        text += f"{doubt}\n{write_steps(start, steps, checked=params.check_steps)}"
    text += f"Both ways agree on {answer}.\n"
    last = f"The answer is \\boxed{{{answer}}}"
    return f"<think>\n{text}</think>\n{last}" if params.think else text + last
