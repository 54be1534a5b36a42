"""Cosine length reward as Open-RS ran it: characters, unclipped, long wrong answers punished more."""

from __future__ import annotations

from collections.abc import Callable

from pipeline.fingerprint import content
from pipeline.rewards._rollouts import Graded, Rollouts
from pipeline.rewards.accuracy_open_rs import RULE
from pipeline.rewards.cosine import half_wave

NAME = "cosine_chars_periodic"
FORMULA = (
    "r = lo + (hi - lo) (1 + cos(pi L / Lmax)) / 2, L in characters, not clipped; right: lo = min_correct, "
    "hi = max_correct; wrong: lo = max_wrong, hi = min_wrong; 1 where gold cannot be read"
)
SOURCE = "Open-RS (arXiv:2503.16219) code, commit 2889c47, launcher defaults; FACTS 3.4"
DOC = "The cosine reward as it ran: L in characters against an Lmax meant as tokens, so it is periodic."


class Params(Graded):
    """The launcher's defaults."""

    max_length: int = content(3584, describe="Lmax, characters.", ge=1)
    min_correct: float = content(0.5, describe="Right, at Lmax.")
    max_correct: float = content(1.0, describe="Right, at length 0.")
    min_wrong: float = content(0.0, describe="Wrong, at length 0.")
    max_wrong: float = content(-0.5, describe="Wrong, at Lmax.")


def make(params: Params) -> Callable[[Rollouts], list[float | None]]:
    """The reward with these parameters."""

    def value(correct: bool | None, characters: int) -> float:
        if correct is None:
            return 1.0
        lo, hi = (params.min_correct, params.max_correct) if correct else (params.max_wrong, params.min_wrong)
        return half_wave(characters, params.max_length, lo, hi)

    def score(rollouts: Rollouts) -> list[float | None]:
        return list(map(value, rollouts.correct(params, RULE), rollouts.characters))

    return score
