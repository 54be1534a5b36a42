"""Powered length penalty (PLP): a bonus for right answers that shrinks with a power of their length."""

from __future__ import annotations

from collections.abc import Callable

from pipeline.fingerprint import content
from pipeline.rewards._rollouts import BOXED_FIRST, Graded, Rollouts

NAME = "powered_length_penalty"
FORMULA = "r = 1 + alpha / L^gamma if right, else 0 (cut off counts as wrong)"
SOURCE = "Fast on the Easy, Deep on the Hard (arXiv:2506.10446); FACTS 2.3"
DOC = "Presses on length where responses are short, hardly where they are long; L is tokens without EOS."
NEEDS_END = True


class Params(Graded):
    """Size and decay of the bonus."""

    alpha: float = content(describe="Size of the bonus; 1 to 30 in the paper.", ge=0)
    gamma: float = content(0.5, describe="Power of the length; 0.5 throughout the paper.", gt=0)


def make(params: Params) -> Callable[[Rollouts], list[float | None]]:
    """The reward with these parameters."""

    def score(rollouts: Rollouts) -> list[float | None]:
        correct = rollouts.correct(params, BOXED_FIRST)
        return [
            None if c is None else (1 + params.alpha / max(tokens, 1) ** params.gamma) * (c and finished)
            for c, tokens, finished in zip(
                correct, rollouts.tokens_before_end, rollouts.finished, strict=True
            )
        ]

    return score
