"""How much of a response is written in another script than the Latin one."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Sequence
from functools import cache

from pipeline.fingerprint import Config

NAME = "non_english"
SOURCE = "P2 (arXiv:2503.16219), claim on mixed languages; FACTS 3.7 C2.6"
DOC = (
    "Share of letters that are neither Latin nor Greek nor mathematical. Languages in Latin script pass "
    "as English; the paper names no rule."
)
COLUMNS = {
    "non_english_share": "such letters over all letters; 0 without letters",
    "mixed": "whether there is any such letter",
}


class Params(Config):
    """None."""


def measure(responses: Sequence[str], params: Params) -> dict[str, list[float] | list[bool]]:
    """Share of foreign letters of each response."""
    shares = [_foreign_share(text) for text in responses]
    return {"non_english_share": shares, "mixed": [share > 0 for share in shares]}


def _foreign_share(text: str) -> float:
    letters = {char: n for char, n in Counter(text).items() if char.isalpha()}
    foreign = sum(n for char, n in letters.items() if _is_foreign(char))
    return foreign / sum(letters.values()) if letters else 0.0


@cache
def _is_foreign(char: str) -> bool:
    name = unicodedata.name(unicodedata.normalize("NFKC", char)[0], "")
    return not char.isascii() and not name.startswith(
        ("LATIN", "GREEK", "MATHEMATICAL", "DOUBLE-STRUCK", "SCRIPT")
    )
