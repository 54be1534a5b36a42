"""Questions of a judge with the replies that they deserve: what a tiny model learns to judge from.

`problem` is the very message that `pipeline/judges` would send, `solution` a reply that it can read, `answer` the
label. The texts that are judged are those of `pools` (clean_question) and `chains` (reflection): the label follows
from the text. The fixed lines of all questions are tokens of their own in a tiny tokenizer `questions`, or a prompt
would have a thousand. Guaranteed: every reply is read as its label. Refused: a judge for which there are no texts.
"""

from __future__ import annotations

import functools
import random
from collections.abc import Iterator

from pydantic import field_validator

from pipeline import judges
from pipeline.errors import suggest
from pipeline.fingerprint import Config, content, digest
from pipeline.generators import Row, Split, chains, draw_unique, pools

REPLIES = {
    "clean_question": {
        "clean": "It asks one thing.\nclean",
        "noisy": "Something is missing.\nnoisy",
        "multi_part": "It asks two things.\nmulti_part",
    },
    "reflection": {
        "off_topic": "It is beside the question. 0.",
        "direct": "It goes straight on. 1.",
        "reflective": "It looks back. 2.",
        "code_only": "It is code. 3.",
    },
}
"""What is said for each label."""

_GAP = "\0"


class Params(Config):
    """Which judge is taught, and on what."""

    judge: str = content("clean_question", describe="Name in the catalogue of judges.")
    min_steps: int = content(2, describe="Fewest operations of a problem.", ge=1)
    max_steps: int = content(4, describe="Most operations of a problem.", ge=1, le=12)
    split: Split = content("all", describe="Which problems: train and test have none in common.")

    @field_validator("judge")
    @classmethod
    def _has_texts(cls, value: str) -> str:
        if value not in REPLIES:
            raise ValueError(f"there are no texts for judge {value!r}\n{suggest(value, REPLIES)}")
        return value


def generate(params: Params, rows: int, seed: int) -> Iterator[Row]:
    """Yield rows whose labels are about equally frequent."""
    draw = {"clean_question": _draw_question, "reflection": _draw_response}[params.judge]
    yield from draw_unique(
        lambda rng: _write_row(params.judge, *draw(params, rng)),
        rows=rows, seed=seed, split="all", space=f"texts for judge {params.judge}",
    )  # fmt: skip


@functools.cache
def phrases() -> tuple[str, ...]:
    """The fixed lines of every question, and the sentences of the replies."""
    found = []
    for name in REPLIES:
        fields = dict.fromkeys(judges.get(name).FIELDS, _GAP)
        for message in judges.ask(name, fields):
            found += [part for line in message["content"].split("\n") for part in line.split(_GAP)]
        found += [reply.partition("\n")[0] for reply in REPLIES[name].values()]
    return tuple(dict.fromkeys(part for part in found if len(part) > 1))


def _write_row(judge: str, fields: dict[str, str], label: str) -> Row:
    (message,) = judges.ask(judge, fields)
    asked = message["content"]
    return {
        "id": f"judge-{digest(asked)}",
        "problem": asked,
        "answer": label,
        "solution": REPLIES[judge][label],
    }


def _draw_question(params: Params, rng: random.Random) -> tuple[dict[str, str], str]:
    texts = pools.Params(
        min_steps=params.min_steps,
        max_steps=params.max_steps,
        noisy=0.34,
        multi_part=0.33,
        split=params.split,
    )
    row, label = pools.draw_labelled(texts, rng)
    return {"problem": row["problem"]}, label


def _draw_response(params: Params, rng: random.Random) -> tuple[dict[str, str], str]:
    label = rng.choice(list(REPLIES["reflection"]))
    sums = pools.Params(min_steps=params.min_steps, max_steps=params.max_steps, split=params.split)
    problem = pools.draw_whole(sums, rng)["problem"]
    style: chains.Style = "long" if label == "reflective" else "short"
    response = _solve(problem, style, rng)
    if label == "off_topic":
        response = rng.choice("?!%&") * rng.randint(3, 12)
    elif label == "code_only":
        response = f"print({problem.removeprefix('What is ').rstrip('?')})"
    return {"problem": problem, "response": response}, label


def _solve(problem: str, style: chains.Style, rng: random.Random) -> str:
    """A solution of `chains` in one style; its rechecks vary."""
    return chains.solve(problem, style, checks=rng.random() < 0.5, rechecks=rng.randint(1, 2))
