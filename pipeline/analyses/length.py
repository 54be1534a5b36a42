"""How long responses are as text; their tokens are in the scores."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.fingerprint import Config

NAME = "length"
SOURCE = "characters are the unit of the Open-RS and open-r1 length rewards; FACTS 3.4, 5"
DOC = "Length in characters and words."
COLUMNS = {"characters": "characters of the response", "words": "words, separated by white space"}


class Params(Config):
    """None."""


def measure(responses: Sequence[str], params: Params) -> dict[str, list[float] | list[bool]]:
    """Characters and words of each response."""
    return {
        "characters": [float(len(text)) for text in responses],
        "words": [float(len(text.split())) for text in responses],
    }
