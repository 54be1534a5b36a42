"""Several long chains per problem, right, wrong and cut, with flags: rows in the form of OpenR1-Math-220k.

The problems are those of `chains`, for the filter `one_correct_trace` (arXiv:2506.07712; FACTS 1.2): lists
`generations`, `correctness_math_verify`, `correctness_llama` and `is_reasoning_complete`, one element per trace.
A right trace is a long solution of `chains`, each with its own number of second looks. A wrong one ends in another
number; a cut one breaks off in the middle. The flags say the truth but for `missed`: a right trace that
Math-Verify's flag takes for wrong, as happens in the real set.
Guaranteed: what a problem's traces are follows from the problem and the parameters alone.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

from pydantic import model_validator

from pipeline.fingerprint import content, digest
from pipeline.generators import chains, draw_unique


class Params(chains.Params):
    """Those of `chains` (the style is long), and how many traces there are of which kind."""

    min_traces: int = content(1, describe="Fewest traces of a problem (OpenR1: 1).", ge=1)
    max_traces: int = content(4, describe="Most traces of a problem (OpenR1: 4).", ge=1, le=16)
    wrong: float = content(0.25, describe="Share of traces that end in a wrong number.", ge=0, le=1)
    cut: float = content(0.1, describe="Share of traces that break off.", ge=0, le=1)
    missed: float = content(0.1, describe="Share of right traces that one flag takes for wrong.", ge=0, le=1)

    @model_validator(mode="after")
    def _possible(self) -> Params:
        if self.min_traces > self.max_traces:
            raise ValueError(f"min_traces {self.min_traces} is above max_traces {self.max_traces}")
        if self.wrong + self.cut > 1:
            raise ValueError("wrong and cut are shares of the same traces: together at most 1")
        return self


def generate(params: Params, rows: int, seed: int) -> Iterator[dict[str, Any]]:
    """Yield rows with id, problem, answer, and the lists of traces and flags."""
    space = f"{params.min_steps} to {params.max_steps} steps on one-digit numbers"
    for row in draw_unique(
        lambda rng: _draw_row(params, rng), rows=rows, seed=seed, split=params.split, space=space
    ):
        yield chains.instruct(row, params.instruction)


def _draw_row(params: Params, rng: random.Random) -> dict[str, Any]:
    start, steps = chains.draw_sum(params, rng)
    problem, answer = chains.write_problem(start, steps), str(chains.follow(start, steps)[-1])
    luck = random.Random(f"traces:{problem}")
    row: dict[str, Any] = {"id": f"traces-{digest(problem)}", "problem": problem, "answer": answer}
    traces = [
        _draw_trace(params, luck, chains.write_long(params, start, steps, trace), answer)
        for trace in range(luck.randint(params.min_traces, params.max_traces))
    ]
    names = ("generations", "correctness_math_verify", "correctness_llama", "is_reasoning_complete")
    return row | {name: [trace[i] for trace in traces] for i, name in enumerate(names)}


def _draw_trace(params: Params, luck: random.Random, text: str, answer: str) -> tuple[str, bool, bool, bool]:
    """(text, Math-Verify's flag, the judge's flag, whether it is complete)."""
    kind = luck.random()
    if kind < params.cut:
        return text[: luck.randint(1, len(text) - len(answer) - 2)], False, False, False
    if kind < params.cut + params.wrong:
        box = "\\boxed{"
        other = int(answer) + luck.choice((-2, -1, 1, 2))
        return text.replace(f"{box}{answer}}}", f"{box}{other}}}"), False, False, True
    return text, luck.random() >= params.missed, True, True
