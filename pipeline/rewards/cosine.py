"""Cosine length reward as the paper describes it: tokens, clipped, long wrong answers punished less."""

from __future__ import annotations

import math
from collections.abc import Callable

from pipeline.fingerprint import content
from pipeline.rewards._rollouts import LATEX_ONLY, Graded, Rollouts

NAME = "cosine"
FORMULA = (
    "r = lo + (hi - lo) (1 + cos(pi min(L, Lmax) / Lmax)) / 2; right: lo = min_correct, hi = max_correct; "
    "wrong: lo = max_wrong, hi = min_wrong"
)
SOURCE = "Open-RS (arXiv:2503.16219) as written; arXiv:2502.03373 appendix C.1; FACTS 3.4"
DOC = "Shorter right answers earn more, longer wrong ones are punished less; L in tokens, clipped at Lmax."


class Params(Graded):
    """The four ends of the two half-waves and the length at which they end."""

    max_length: int = content(describe="Lmax, tokens.", ge=1)
    min_correct: float = content(0.5, describe="Right, at Lmax.")
    max_correct: float = content(1.0, describe="Right, at length 0.")
    min_wrong: float = content(-1.0, describe="Wrong, at length 0.")
    max_wrong: float = content(-0.5, describe="Wrong, at Lmax.")


def half_wave(length: float, max_length: float, lo: float, hi: float) -> float:
    """lo + (hi - lo)(1 + cos(pi L / Lmax)) / 2: hi at length 0, lo at Lmax, periodic beyond."""
    return lo + 0.5 * (hi - lo) * (1 + math.cos(math.pi * length / max_length))


def make(params: Params) -> Callable[[Rollouts], list[float | None]]:
    """The reward with these parameters."""

    def value(correct: bool | None, tokens: int) -> float | None:
        if correct is None:
            return None
        lo, hi = (params.min_correct, params.max_correct) if correct else (params.max_wrong, params.min_wrong)
        return half_wave(min(tokens, params.max_length), params.max_length, lo, hi)

    def score(rollouts: Rollouts) -> list[float | None]:
        return list(map(value, rollouts.correct(params, LATEX_ONLY), rollouts.tokens))

    return score
