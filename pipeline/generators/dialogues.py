"""Self-correction dialogues about `chains`, one turn a row: what a tiny model learns to hold a dialogue from.

The turns are those of stage `dialogue` (arXiv:2601.05616, FACTS 4): a first answer, right or with one step wrong, an
assessment that goes through its steps, a revised answer, a summary. A row's `problem` is everything said before the
turn, written with the marks of the tiny models' chat template, its `solution` the turn. Guaranteed: revision and
summary are right whatever the first answer was; the assessment stops at the first wrong step and names it.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

from pydantic import model_validator

from pipeline.fingerprint import Config, content, digest
from pipeline.generators import Row, Split, chains, draw_unique, pools

ANSWERED, ASKED = "<|end|><|assistant|>", "<|end|><|user|>"
"""What the tiny models' chat template writes between two turns."""

TURNS = ("assessment", "revised", "summary")


class Params(Config):
    """What is asked, and how often the first answer is wrong."""

    min_steps: int = content(2, describe="Fewest operations of a problem.", ge=1)
    max_steps: int = content(4, describe="Most operations of a problem.", ge=1, le=12)
    wrong: float = content(0.5, describe="Share of first answers with a wrong step.", ge=0, le=1)
    assess: str = content("Check it.", describe="What asks for the assessment, as the study's dialogues do.")
    revise: str = content("Solve it again.", describe="What asks for the revised answer.")
    summarise: str = content("Sum up.", describe="What asks for the summary.")
    split: Split = content("all", describe="Which problems: train and test have none in common.")

    @model_validator(mode="after")
    def _ordered(self) -> Params:
        if self.min_steps > self.max_steps:
            raise ValueError(f"min_steps {self.min_steps} is above max_steps {self.max_steps}")
        return self


def generate(params: Params, rows: int, seed: int) -> Iterator[Row]:
    """Yield rows with id, problem, answer and solution; the three turns are equally frequent."""
    space = f"dialogues about {params.min_steps} to {params.max_steps} steps"
    yield from draw_unique(
        lambda rng: _draw_turn(params, rng), rows=rows, seed=seed, split="all", space=space
    )


def _draw_turn(params: Params, rng: random.Random) -> Row:
    sums = pools.Params(min_steps=params.min_steps, max_steps=params.max_steps, split=params.split)
    row = pools.draw_whole(sums, rng)
    first, assessment = _draw_first(row, params.wrong, rng)
    summary = f"Both ways agree on {row['answer']}.\nThe answer is \\boxed{{{row['answer']}}}"
    said = {"first": first, "assessment": assessment, "revised": row["solution"], "summary": summary}
    turn = rng.choice(TURNS)
    conversation = row["problem"] + ANSWERED + said["first"]
    for name, request in zip(TURNS, (params.assess, params.revise, params.summarise), strict=True):
        conversation += ASKED + request
        if name == turn:
            break
        conversation += ANSWERED + said[name]
    return {
        "id": f"dialogues-{digest(conversation)}",
        "problem": conversation,
        "answer": row["answer"],
        "solution": said[turn],
    }


def _draw_first(row: Row, wrong: float, rng: random.Random) -> tuple[str, str]:
    """A first answer and its assessment."""
    start, steps = chains.read_problem(row["problem"])
    values = chains.follow(start, steps)
    slip = rng.randrange(len(steps)) if rng.random() < wrong else None
    if slip is not None:
        off = rng.choice([d for d in (-2, -1, 1, 2) if values[slip + 1] + d >= 0])
        said = [*values[: slip + 1], *(v + off for v in values[slip + 1 :])]
    else:
        said = values
    lines, checks = [], []
    for i, (operator, number) in enumerate(steps):
        lines.append(f"{said[i]}{operator}{number}={said[i + 1]}\n")
        if slip is None or i < slip:
            checks.append(f"{lines[-1][:-1]}, which is right.\n")
        elif i == slip:
            checks.append(f"Wait, let me recheck: {values[i]}{operator}{number}={values[i + 1]}")
    return f"{''.join(lines)}The answer is \\boxed{{{said[-1]}}}", "".join(checks).rstrip("\n")
