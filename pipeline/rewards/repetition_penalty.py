"""A penalty for repeated word n-grams."""

from __future__ import annotations

from collections.abc import Callable

from pipeline.fingerprint import Config, content
from pipeline.rewards._rollouts import Rollouts

NAME = "repetition_penalty"
FORMULA = "r = p (1 - distinct n-grams / n-grams), words in lower case; 0 below n words"
SOURCE = "arXiv:2502.03373 appendix C.2; open-r1 rewards.py (commit 1416fa0); FACTS 5"
DOC = "From 0 (nothing repeats) towards p (everything does)."


class Params(Config):
    """The n of the n-grams and the penalty p."""

    ngram: int = content(3, describe="Words per n-gram.", ge=1)
    max_penalty: float = content(-1.0, describe="p; not above 0.", le=0)


def make(params: Params) -> Callable[[Rollouts], list[float | None]]:
    """The reward with these parameters."""

    def value(text: str) -> float:
        words = text.lower().split()
        total = len(words) - params.ngram + 1
        if total < 1:
            return 0.0
        distinct = len({tuple(words[i : i + params.ngram]) for i in range(total)})
        return params.max_penalty * (1 - distinct / total)

    return lambda rollouts: [value(text) for text in rollouts.texts]
