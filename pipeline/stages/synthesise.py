"""Make training rows of what a policy wrote: self-correction dialogues, or sampled responses that are right.

From `dialogues` (FACTS 4, phase 1): first and final answer are graded, which gives the classes RR, RW, WR and
WW (R right, W wrong; the final answer is the summary's box, without one what the revision says, as a grader
reads the flattened response). RR and WR are kept, first answers right and wrong 1:1 by a seeded choice, so
that a model does not learn to fail first. The four turns become one `solution`, for inference has one turn.
The paper's rules are not known; ours drop, in this order: a dialogue cut in any turn, an empty turn, a class
not kept, a verdict that changes while the text does not, the same dialogue of a problem again.
From `completions` (of `solve`, or of `sample` with its `scores`): right responses, uncut, not empty, each text
once per problem, all or `per_problem` of them by seed or by length.
Guarantees: every dropped row is counted under one reason; unique ids `PROBLEM#ORIGIN-SAMPLE`; the order of the
input. A choice that leaves nothing stops the stage.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal

from pydantic import field_validator, model_validator

from pipeline.fingerprint import Config, content
from pipeline.stages import Stage
from pipeline.stages.score import ScoreConfig

Class = Literal["RR", "RW", "WR", "WW"]
PARTS = ("first", "assessment", "revised", "summary")
_PART = re.compile(r"\{(" + "|".join(PARTS) + r")\}")


class Marker(Config):
    """A text that tells where a row comes from; inference can ask for it (a prompt that begins with it)."""

    text: str = content(describe="Put in front as it is, with its own spaces and line breaks.", min_length=1)
    place: Literal["prompt", "response"] = content(
        "prompt", describe="In front of the problem's text, or of the response."
    )


class SynthesiseConfig(Config):
    """Which dialogues or responses become rows, and how they are written."""

    keep_classes: tuple[Class, ...] = content(
        ("RR", "WR"), describe="Classes of dialogues (first, final answer) that are kept.", min_length=1
    )
    balance: bool | float = content(
        True, describe="Rows whose first answer is right per row where it is wrong; true is 1, false any."
    )
    template: str = content(
        "{first}\n\n{assessment}\n\n{revised}\n\n{summary}",
        describe="How a dialogue's turns become a solution.",
    )
    per_problem: int | None = content(
        None, describe="Most right responses of one problem; all when absent.", ge=1
    )
    choose: Literal["seed", "shortest"] = content(
        "seed", describe="Which they are, where there are more: by seed, or those of the fewest tokens."
    )
    marker: Marker | None = content(None, describe="A text in front of the prompt or the response.")
    score: ScoreConfig = content(ScoreConfig(), describe="How a dialogue's answers are graded.")
    seed: int = content(0, describe="Seed of the choices.", ge=0)

    @field_validator("template")
    @classmethod
    def _ends_with_an_answer(cls, value: str) -> str:
        if not {"revised", "summary"} & set(_PART.findall(value)):
            raise ValueError("the template has neither {revised} nor {summary}, so no final answer")
        return value

    @model_validator(mode="after")
    def _can_balance(self) -> SynthesiseConfig:
        if self.balance is False:
            return self
        if self.balance <= 0:
            raise ValueError("balance is a ratio above 0, true (1) or false")
        if {name[0] for name in self.keep_classes} != {"R", "W"}:
            raise ValueError(
                "balance needs classes with a right and classes with a wrong first answer; set balance: false"
            )
        return self

    def flatten(self, turns: Mapping[str, str]) -> str:
        """One response of a dialogue's turns (inserted in one pass: braces in a turn stay as they are)."""
        return _PART.sub(lambda found: turns[found[1]], self.template)


STAGE = Stage(
    name="synthesise",
    version=2,
    config=SynthesiseConfig,
    produces="dataset",
    follows="dialogue",
    summary="Make training rows of what a policy wrote.",
)
