"""Questions that a judge is asked about chains, with the reply that is right: what a tiny judge learns from.

The problem is the whole question of the catalogue's judge `reflection` (arXiv:2506.07712, appendix B.4) about a
short or a long solution of `chains`, sometimes cut; the solution is a reply in the form that the question asks for:
2 where P0's keyword detector finds reflection, else 1. A judge that learns them agrees with the keywords by design;
it shows that the stage works, and nothing about reflection.
Guaranteed: half of the responses are long chains; problems are those of `chains` in the split.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

from pipeline import judges
from pipeline.analyses import reflection_keywords
from pipeline.fingerprint import content, digest
from pipeline.generators import Row, chains, draw_unique, split_of

REPLIES = {True: "It looks back. 2.", False: "It goes straight on. 1."}


class Params(chains.Params):
    """Those of `chains` (the style is drawn), and how often a response is cut."""

    cut: float = content(0.3, describe="Share of responses that break off.", ge=0, le=1)


def generate(params: Params, rows: int, seed: int) -> Iterator[Row]:
    """Yield rows whose problem is a question, whose answer is its category and whose solution is the reply."""
    space = f"questions about {params.min_steps} to {params.max_steps} steps on one-digit numbers"
    yield from draw_unique(lambda rng: _draw_row(params, rng), rows=rows, seed=seed, split="all", space=space)


def _draw_row(params: Params, rng: random.Random) -> Row:
    start, steps = chains.draw_sum(params, rng)
    problem, _ = chains.write_problem(start, steps)
    while params.split not in ("all", split_of(problem)):
        start, steps = chains.draw_sum(params, rng)
        problem, _ = chains.write_problem(start, steps)
    write = rng.choice((chains.write_short, chains.write_long))
    response = write(params, start, steps)
    if rng.random() < params.cut:
        response = response[: rng.randint(1, len(response))]
    (message,) = judges.ask("reflection", {"problem": problem, "response": response})
    reflects = reflection_keywords.measure([response], reflection_keywords.Params())["reflects"][0]
    return {
        "id": f"judge-{digest(message['content'])}",
        "problem": message["content"],
        "answer": "2" if reflects else "1",
        "solution": REPLIES[bool(reflects)],
    }
