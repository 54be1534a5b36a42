"""How much responses repeat themselves."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.fingerprint import Config, content

NAME = "repetition"
SOURCE = "the quantity behind repetition_penalty, arXiv:2502.03373 appendix C.2; FACTS 5"
DOC = "Share of word n-grams that occurred before in the same response."
COLUMNS = {"repeated_share": "1 - distinct n-grams / n-grams, words in lower case; 0 below n words"}


class Params(Config):
    """The n of the n-grams."""

    ngram: int = content(4, describe="Words per n-gram.", ge=1)


def measure(responses: Sequence[str], params: Params) -> dict[str, list[float] | list[bool]]:
    """Share of repeated n-grams of each response."""
    return {"repeated_share": [_repeated_share(text, params.ngram) for text in responses]}


def _repeated_share(text: str, n: int) -> float:
    words = text.lower().split()
    total = len(words) - n + 1
    if total < 1:
        return 0.0
    return 1 - len({tuple(words[i : i + n]) for i in range(total)}) / total
