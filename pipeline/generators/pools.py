"""A raw pool of questions: mostly whole ones, some garbled, some in several parts, some solutions without a box.

The miniature of the pools that Open-RS curates (arXiv:2503.16219): what its filters drop is in there, in shares
that are declared (a little fewer garbled ones where they run out: cut short, many questions are the same). Whole
questions are those of `chains`; a garbled one is cut off or has lost its numbers; one in parts asks for two sums at
once. Guaranteed: which of the three a question is follows from its text, so that a judge can tell; a row keeps the
answer and solution of its (first) whole question, and of a split are the text and every whole question in it.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

from pydantic import model_validator

from pipeline.fingerprint import Config, content, digest
from pipeline.generators import Row, Split, chains, draw_unique, split_of


class Params(Config):
    """How many of which kind."""

    min_steps: int = content(2, describe="Fewest operations of a problem.", ge=1)
    max_steps: int = content(4, describe="Most operations of a problem.", ge=1, le=12)
    noisy: float = content(0.1, describe="Share of garbled questions.", ge=0, le=1)
    multi_part: float = content(0.1, describe="Share of questions in two parts.", ge=0, le=1)
    unboxed: float = content(0.1, describe="Share of solutions that end without a box.", ge=0, le=1)
    split: Split = content("all", describe="Which problems: train and test have none in common.")

    @model_validator(mode="after")
    def _fits(self) -> Params:
        if self.min_steps > self.max_steps:
            raise ValueError(f"min_steps {self.min_steps} is above max_steps {self.max_steps}")
        if self.noisy + self.multi_part > 1:
            raise ValueError(f"noisy {self.noisy:g} and multi_part {self.multi_part:g} are more than all")
        return self


def generate(params: Params, rows: int, seed: int) -> Iterator[Row]:
    """Yield rows with id, problem, answer and solution."""
    space = f"{params.min_steps} to {params.max_steps} steps on one-digit numbers, whole and garbled"
    yield from draw_unique(
        lambda rng: draw_labelled(params, rng)[0], rows=rows, seed=seed, split="all", space=space
    )


def draw_labelled(params: Params, rng: random.Random) -> tuple[Row, str]:
    """A row, and the label that `clean_question` should give it."""
    luck = rng.random()
    label = (
        "noisy" if luck < params.noisy
        else "multi_part" if luck < params.noisy + params.multi_part
        else "clean"
    )  # fmt: skip
    while True:
        whole = draw_whole(params, rng)
        problem, solution = _write(label, whole["problem"], params, rng), whole["solution"]
        if params.split in ("all", split_of(problem)):
            break
    if rng.random() < params.unboxed:
        solution = solution.replace("\\boxed{", "").replace("}", "")
    row = {
        "id": f"pools-{digest(problem)}",
        "problem": problem,
        "answer": whole["answer"],
        "solution": solution,
    }
    return row, label


def draw_whole(params: Params, rng: random.Random) -> Row:
    """A whole question of the split, whatever is made of it afterwards."""
    sums = chains.Params(min_steps=params.min_steps, max_steps=params.max_steps)
    while True:
        row = chains.draw_row(sums, rng)
        if params.split in ("all", split_of(row["problem"])):
            return row


def _write(label: str, problem: str, params: Params, rng: random.Random) -> str:
    """A whole question as one of its label."""
    if label == "noisy":
        return _garble(problem, rng)
    return f"(a) {problem} (b) {draw_whole(params, rng)['problem']}" if label == "multi_part" else problem


def _garble(problem: str, rng: random.Random) -> str:
    """The question cut off after an operator, or with gaps for its numbers, one at least."""
    if rng.random() < 0.5:
        ends = [at + 1 for at, char in enumerate(problem) if char in "+-"]
        return problem[: rng.choice(ends)]
    digits = [at for at, char in enumerate(problem) if char.isdigit()]
    lost = {rng.choice(digits), *(at for at in digits if rng.random() < 0.7)}
    return "".join("_" if at in lost else char for at, char in enumerate(problem.rstrip("?"))) + " ..."
