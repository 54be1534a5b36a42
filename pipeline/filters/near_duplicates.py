"""Keep the first of rows whose problems are nearly the same.

Two problems are near duplicates when the Jaccard similarity of their sets of word shingles is at least
`threshold`. Candidates come from MinHash signatures cut into bands (Broder 1997; Leskovec, Rajaraman and
Ullman, Mining of Massive Datasets, chapter 3) and each is checked on the shingles themselves, so nothing
below the threshold is dropped; a pair of similarity s is missed with the probability (1 - s^r)^b, which is
0.002 at s = 0.8 and 0.07 at s = 0.7 with the b = 21 bands of r = 6 rows used here. The first of near
duplicates stays, in the rows' order.
"""

from __future__ import annotations

import re
import unicodedata
import zlib
from collections import defaultdict
from typing import TYPE_CHECKING

from pipeline.filters import FilterContext, judge_batches, need_text
from pipeline.fingerprint import Config, content

if TYPE_CHECKING:
    import numpy as np
    import polars as pl

DOC = "Keep the first of rows whose problems share at least `threshold` of their word shingles."
MAIN = "threshold"

BANDS, ROWS_PER_BAND = 21, 6
PRIME = 2**31 - 1
_WORD = re.compile(r"\w+|[^\w\s]")


class Params(Config):
    """How alike is too alike."""

    threshold: float = content(0.8, describe="Jaccard similarity from which a row is dropped.", ge=0.7, le=1)
    shingle: int = content(3, describe="Words and signs per shingle.", ge=1)
    column: str = content("problem", describe="Column that is compared.")


def judge(rows: pl.LazyFrame, params: Params, context: FilterContext) -> pl.DataFrame:
    """Drop rows that are near an earlier kept row; rows without a text stay."""
    need_text(rows, params.column, "near_duplicates")
    kept = KeptProblems(params.threshold, context.seed)
    reason = f"near duplicate of an earlier {params.column}"

    def reasons(batch: pl.DataFrame) -> list[str | None]:
        texts = batch[params.column].to_list()
        return [
            reason if text and not kept.add(shingles_of(text, params.shingle)) else None for text in texts
        ]

    return judge_batches(rows, (params.column,), reasons, context.batch_rows)


def shingles_of(text: str, size: int) -> np.ndarray:
    """The sorted, distinct 31-bit hashes of a text's shingles (of the whole text when it is shorter)."""
    import numpy as np

    words = _WORD.findall(unicodedata.normalize("NFKC", text).lower())
    runs = {" ".join(words[i : i + size]) for i in range(max(1, len(words) - size + 1))}
    return np.unique(np.array([zlib.crc32(run.encode()) % PRIME for run in runs], dtype=np.uint64))


class KeptProblems:
    """The problems kept so far, findable by the bands of their signatures."""

    def __init__(self, threshold: float, seed: int) -> None:
        import numpy as np

        draw = np.random.Generator(np.random.PCG64(seed))
        size = BANDS * ROWS_PER_BAND
        self.threshold = threshold
        self.factors = draw.integers(1, PRIME, size=(size, 1), dtype=np.uint64)
        self.offsets = draw.integers(0, PRIME, size=(size, 1), dtype=np.uint64)
        self.shingles: list[np.ndarray] = []
        self.bands: list[dict[bytes, list[int]]] = [defaultdict(list) for _ in range(BANDS)]

    def add(self, shingles: np.ndarray) -> bool:
        """Keep these shingles, or return False where a kept problem is at least as near as the threshold."""
        signature = ((self.factors * shingles + self.offsets) % PRIME).min(axis=1).astype("<u4")
        keys = [band.tobytes() for band in signature.reshape(BANDS, ROWS_PER_BAND)]
        candidates = {i for table, key in zip(self.bands, keys, strict=True) for i in table.get(key, ())}
        if any(self._similarity(self.shingles[i], shingles) >= self.threshold for i in candidates):
            return False
        for table, key in zip(self.bands, keys, strict=True):
            table[key].append(len(self.shingles))
        self.shingles.append(shingles.astype("<u4"))
        return True

    def _similarity(self, one: np.ndarray, other: np.ndarray) -> float:
        import numpy as np

        common = len(np.intersect1d(one, other, assume_unique=True))
        return common / (len(one) + len(other) - common)
