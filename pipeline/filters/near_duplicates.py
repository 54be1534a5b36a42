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
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.filters import FilterContext, map_batches, need_text
from pipeline.fingerprint import Config, content

if TYPE_CHECKING:
    import numpy as np
    import polars as pl

DOC = "Keep the first of rows whose problems share at least `threshold` of their word shingles."
MAIN = "threshold"

BANDS, ROWS_PER_BAND = 21, 6
PRIME = 2**31 - 1
MIXER = 0x9E3779B97F4A7C15
"""Odd multiplier of the hash of a band (Knuth, golden ratio); a collision only costs a comparison."""

_WORD = re.compile(r"\w+|[^\w\s]")


class Params(Config):
    """How alike is too alike."""

    threshold: float = content(0.8, describe="Jaccard similarity from which a row is dropped.", ge=0.7, le=1)
    shingle: int = content(3, describe="Words and signs per shingle.", ge=1)
    column: str = content("problem", describe="Column that is compared.")


def judge(rows: pl.LazyFrame, params: Params, context: FilterContext) -> pl.DataFrame:
    """Drop rows that are near an earlier kept row; rows without a text stay."""
    import numpy as np
    import polars as pl

    need_text(rows, params.column, "near_duplicates")
    ids, found = map_batches(rows, (params.column,), make_signer, (params, context.seed), context)
    every = [shingles for one in found for shingles in one.shingles()]
    with_text = [place for place, one in enumerate(every) if len(one)]
    kept = MinHashIndex(params.threshold, context.seed)
    suspects = np.flatnonzero(_shares_a_band(np.concatenate([one.bands for one in found]))) if found else ()
    gone = [with_text[i] for i in suspects if not kept.add(every[with_text[i]].astype(np.uint64))]
    reason = pl.Series("reason", [None] * len(ids), dtype=pl.String)
    reason = reason.scatter(gone, f"near duplicate of an earlier {params.column}")
    return pl.DataFrame({"id": ids, "reason": reason})


@dataclass(frozen=True)
class MinHashes:
    """What a batch's problems are compared by: all shingles, how many each problem has (0: no text), and the bands
    of those that have a text."""

    hashes: np.ndarray
    sizes: np.ndarray
    bands: np.ndarray

    def shingles(self) -> list[np.ndarray]:
        """The shingles of each problem."""
        import numpy as np

        return np.split(self.hashes, np.cumsum(self.sizes)[:-1])


def make_signer(params: Params, seed: int) -> Callable[[pl.DataFrame], MinHashes]:
    """Shingles and bands of batches."""
    import numpy as np

    hashing = MinHashIndex(params.threshold, seed)

    def sign(batch: pl.DataFrame) -> MinHashes:
        texts = batch[params.column].to_list()
        problems = [shingles_of(text, params.shingle) for text in texts if text]
        sizes = iter(map(len, problems))
        return MinHashes(
            hashes=np.concatenate([np.empty(0, dtype="<u4"), *problems]).astype("<u4"),
            sizes=np.array([next(sizes) if text else 0 for text in texts]),
            bands=hashing.band_keys(problems),
        )

    return sign


def _shares_a_band(keys: np.ndarray) -> np.ndarray:
    """Which rows have a band's key (rows × BANDS) in common with another row: only those can be duplicates."""
    import numpy as np

    shared = np.zeros(len(keys), dtype=bool)
    for column in keys.T:
        order = np.argsort(column, kind="stable")
        same = np.flatnonzero(np.diff(column[order]) == 0)
        shared[order[same]] = True
        shared[order[same + 1]] = True
    return shared


def shingles_of(text: str, size: int) -> np.ndarray:
    """The sorted, distinct 31-bit hashes of a text's shingles (of the whole text when it is shorter)."""
    import numpy as np

    words = _WORD.findall(unicodedata.normalize("NFKC", text).lower())
    shingles = {" ".join(words[i : i + size]) for i in range(max(1, len(words) - size + 1))}
    return np.unique(
        np.array([zlib.crc32(shingle.encode()) % PRIME for shingle in shingles], dtype=np.uint64)
    )


def _modulo_prime(values: np.ndarray) -> np.ndarray:
    """values % PRIME for values below 2^62, by adding the digits in base 2^31 (PRIME is 2^31 - 1)."""
    import numpy as np

    prime, bits = np.uint64(PRIME), np.uint64(31)
    values = (values & prime) + (values >> bits)
    values = (values & prime) + (values >> bits)
    return values - prime * (values >= prime)


class MinHashIndex:
    """The problems kept so far, found by the bands of their MinHash signatures (locality-sensitive hashing)."""

    def __init__(self, threshold: float, seed: int) -> None:
        import numpy as np

        rng = np.random.Generator(np.random.PCG64(seed))
        size = BANDS * ROWS_PER_BAND
        self.threshold = threshold
        self.factors = rng.integers(1, PRIME, size=(size, 1), dtype=np.uint64)
        self.offsets = rng.integers(0, PRIME, size=(size, 1), dtype=np.uint64)
        self.shingles: list[np.ndarray] = []
        self.bands: list[dict[bytes, list[int]]] = [defaultdict(list) for _ in range(BANDS)]

    def band_keys(self, problems: list[np.ndarray]) -> np.ndarray:
        """A 64-bit hash per problem and band of its signature; equal bands have equal hashes."""
        import numpy as np

        if not problems:
            return np.empty((0, BANDS), dtype=np.uint64)
        shingles = np.concatenate(problems)
        starts = np.cumsum([0, *(len(one) for one in problems[:-1])])
        keys = np.zeros((len(problems), BANDS), dtype=np.uint64)
        for i, (factor, offset) in enumerate(zip(self.factors[:, 0], self.offsets[:, 0], strict=True)):
            least = np.minimum.reduceat(_modulo_prime(factor * shingles + offset), starts)
            keys[:, i // ROWS_PER_BAND] = keys[:, i // ROWS_PER_BAND] * np.uint64(MIXER) + least
        return keys

    def add(self, shingles: np.ndarray) -> bool:
        """Keep these shingles, or return False where a kept problem is at least as near as the threshold."""
        signature = _modulo_prime(self.factors * shingles + self.offsets).min(axis=1).astype("<u4")
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
