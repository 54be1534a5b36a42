"""Take n rows in a fixed random order, so that smaller subsets are prefixes of larger ones.

The order is that of a keyed hash of the id (BLAKE2b of seed and id): it depends on neither the file's
order nor n. P0's 8k … 220k subsets are declared nested this way (FACTS 1.2: not stated in the paper).
Refused: more rows than there are.
"""

from __future__ import annotations

from typing import Any

from pipeline.fingerprint import Config as BaseConfig
from pipeline.fingerprint import content
from pipeline.store.job import Job

NAME = "subset"
VERSION = 1
PRODUCES = "dataset"


class SubsetConfig(BaseConfig):
    """How many rows, and which order."""

    rows: int = content(describe="Rows to keep.", ge=1)
    seed: int = content(0, describe="Seed of the order; subsets of one seed are nested.", ge=0)


Config = SubsetConfig


def run(job: Job) -> dict[str, Any]:
    """Write the first `rows` rows of input `rows` in the seeded order."""
    from pipeline.engines import subset

    return subset.run(job)
