"""Generators of synthetic problems: one module each, found by name.

A generator module has `Params` (a fingerprint.Config) and
`generate(params, rows, seed) -> Iterator[dict]` of rows with id, problem, answer, solution.
Guaranteed of each: the same arguments give the same rows, no problem occurs twice, the id is a digest of the
problem, and the splits `train` and `test` (a hash of the problem decides) have no problem in common.
Refused: more rows than there are problems. A module is imported only when it is asked for.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterator
from typing import Any, Literal

from pipeline.catalogue import Catalogue
from pipeline.errors import InputError

Split = Literal["all", "train", "test"]
Row = dict[str, Any]

TEST_SHARE = 0.1
"""Share of all problems that belong to split `test`."""

_TRIES_PER_ROW = 2_000

_catalogue = Catalogue("pipeline.generators", __path__, "generator")
names = _catalogue.names
get = _catalogue.module
params_model = _catalogue.params_model
validate = _catalogue.validate


def split_of(problem: str) -> Literal["train", "test"]:
    """The split that a problem belongs to, whichever seed drew it."""
    number = int.from_bytes(hashlib.sha256(f"split:{problem}".encode()).digest()[:4], "big")
    return "test" if number < TEST_SHARE * 2**32 else "train"


def draw_unique(
    draw: Callable[[random.Random], Row], *, rows: int, seed: int, split: Split, space: str
) -> Iterator[Row]:
    """Yield `rows` different rows of a split from `draw`; InputError where new problems run out.

    `space` describes the problems in the error message.
    """
    rng = random.Random(seed)
    seen: set[str] = set()
    while len(seen) < rows:
        for _ in range(_TRIES_PER_ROW):
            row = draw(rng)
            problem = row["problem"]
            if problem not in seen and split in ("all", split_of(problem)):
                break
        else:
            raise InputError(
                f"only {len(seen)} of {rows} rows could be drawn without repeating a problem ({space}, split {split})",
                "Ask for fewer rows, or widen the parameters.",
            )
        seen.add(problem)
        yield row
