"""Solve problems by rejection sampling in rounds: who is unsolved is tried again, with more samples.

Dual-phase's phase 2 (FACTS 4): in round r only the problems that no earlier round solved get `rounds[r]` new
samples, graded here with the project's grader. A round for which nothing is left ends the stage.
The control of equal budget (C3.5): with an input `budget`, another solve artifact, `rounds` is empty and as
many samples as that one drew are spread evenly over the problems.
Guarantees: a sample depends on seed, problem and its number only, and numbers go on from round to round, so
no draw is made twice and the first round's are those of `sample`; a killed job resumes after its last shard.
Refuses: a gold answer that cannot be graded, before anything is drawn; a stage that solves nothing.
"""

from __future__ import annotations

from itertools import pairwise

from pydantic import model_validator

from pipeline.fingerprint import content
from pipeline.stages import Stage
from pipeline.stages.sample import SamplingConfig, place_sampling
from pipeline.stages.score import ScoreConfig


class SolveConfig(SamplingConfig):
    """The sampling protocol, the samples per problem of each round, and the grader."""

    rounds: tuple[int, ...] = content(
        (), describe="Samples per unsolved problem in each round; empty with an input `budget`."
    )
    score: ScoreConfig = content(ScoreConfig(), describe="How responses are graded.")

    @model_validator(mode="after")
    def _increasing(self) -> SolveConfig:
        if any(samples < 1 for samples in self.rounds):
            raise ValueError("a round needs at least 1 sample per problem")
        if any(after <= before for before, after in pairwise(self.rounds)):
            raise ValueError("each round must have more samples than the one before")
        return self


STAGE = Stage(
    name="solve",
    version=2,
    config=SolveConfig,
    produces="completions",
    follows="select",
    summary="Try the unsolved problems again with more samples, round by round.",
    place=place_sampling,
    imports_torch=True,
)
