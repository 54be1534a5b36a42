"""Take n rows in a fixed random order, so that smaller subsets are prefixes of larger ones.

The order is that of a keyed hash of the id (BLAKE2b of seed and id): it depends on neither the file's
order nor n. P0's 8k … 220k subsets are declared nested this way (FACTS 1.2: not stated in the paper).
Refused: more rows than there are.
"""

from __future__ import annotations

from pipeline.fingerprint import Config, content
from pipeline.stages import Stage


class SubsetConfig(Config):
    """How many rows, and which order."""

    rows: int = content(describe="Rows to keep.", ge=1)
    seed: int = content(0, describe="Seed of the order; subsets of one seed are nested.", ge=0)


STAGE = Stage(
    name="subset",
    version=1,
    config=SubsetConfig,
    produces="dataset",
    follows="mix",
    summary="Take the first n rows of a seeded order, so that subsets are nested.",
)
