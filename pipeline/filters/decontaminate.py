"""Drop rows whose text shares a run of words with a problem of the named benchmarks.

Words are runs of letters and digits, lower-cased after NFKC. n = 13 as in GPT-3 (arXiv:2005.14165,
appendix C); open-r1 and s1 use 8. A benchmark problem of fewer than n words counts as one run of its
own length when it has at least `min_words`; a still shorter one must equal the row's whole text.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterator
from typing import TYPE_CHECKING

from pipeline.errors import InputError
from pipeline.filters import FilterContext, judge_batches, need_text
from pipeline.fingerprint import Config, content

if TYPE_CHECKING:
    import polars as pl

DOC = "Drop rows that share a run of `n` words with a problem of the benchmarks `against`."
MAIN = "against"

_WORD = re.compile(r"\w+")


class Params(Config):
    """Against what, and how long a common run must be."""

    against: tuple[str, ...] = content(describe="Benchmarks or data entries.", min_length=1)
    n: int = content(13, describe="Words in a row that must be the same.", ge=1)
    min_words: int = content(8, describe="Shorter benchmark problems must equal the row's text.", ge=1)
    columns: tuple[str, ...] = content(
        ("problem",), describe="Columns of the rows that are searched.", min_length=1
    )


class Runs:
    """The runs of words of the benchmarks, by length, and the whole texts of very short problems."""

    def __init__(self, n: int, min_words: int) -> None:
        self.n = n
        self.min_words = min_words
        self.by_length: dict[int, set[str]] = defaultdict(set)
        self.whole: set[str] = set()

    def add(self, text: str) -> None:
        """Add the runs of one problem."""
        words = words_of(text)
        if len(words) < min(self.min_words, self.n):
            self.whole.add(" ".join(words))
            return
        length = min(self.n, len(words))
        self.by_length[length].update(_runs(words, length))

    def overlaps(self, text: str) -> bool:
        """Whether a text shares a run with any problem."""
        words = words_of(text)
        if " ".join(words) in self.whole:
            return bool(words)
        return any(run in known for length, known in self.by_length.items() for run in _runs(words, length))


def words_of(text: str) -> list[str]:
    """The words that are compared."""
    return _WORD.findall(unicodedata.normalize("NFKC", text).lower())


def _runs(words: list[str], length: int) -> Iterator[str]:
    return (" ".join(words[i : i + length]) for i in range(len(words) - length + 1))


def judge(rows: pl.LazyFrame, params: Params, context: FilterContext) -> pl.DataFrame:
    """Drop rows with a common run in any of the columns."""
    for column in params.columns:
        need_text(rows, column, "decontaminate")
    known = _read_runs(params, context)
    hit = f"shares {params.n} words with a benchmark"

    def reasons(batch: pl.DataFrame) -> list[str | None]:
        texts = zip(*(batch[column].to_list() for column in params.columns), strict=True)
        return [hit if any(text and known.overlaps(text) for text in row) else None for row in texts]

    return judge_batches(rows, params.columns, reasons, context.batch_rows)


def _read_runs(params: Params, context: FilterContext) -> Runs:
    import polars as pl

    if not context.against:
        raise InputError(
            f"filter decontaminate: the sets to check against ({', '.join(params.against)}) were not given",
            "Name benchmarks or data entries of the study in `against`.",
        )
    known = Runs(params.n, params.min_words)
    for path in context.against:
        for batch in pl.scan_parquet(path).select("problem").collect_batches(chunk_size=context.batch_rows):
            for text in batch["problem"].drop_nulls().to_list():
                known.add(text)
    return known
