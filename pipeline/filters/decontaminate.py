"""Drop rows whose text shares a run of words with a problem of the named benchmarks.

Words are runs of letters and digits, lower-cased after NFKC; a run of words is an n-gram of them. n = 13 as in GPT-3 (arXiv:2005.14165,
appendix C); open-r1 and s1 use 8. A benchmark problem of fewer than n words counts as one run of its
own length when it has at least `min_words`; a still shorter one must equal the row's whole text.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import InputError
from pipeline.filters import FilterContext, judge_in_processes, need_text
from pipeline.fingerprint import Config, content

if TYPE_CHECKING:
    import polars as pl

DOC = "Drop rows that share a run of `n` words with a problem of the benchmarks `against`."
MAIN = "against"

_FINGERPRINT = re.compile(r"-[0-9a-f]{12}$")
_WORD = re.compile(r"[^\W_]+")


class Params(Config):
    """Against what, and how long a common run must be."""

    against: tuple[str, ...] = content(describe="Benchmarks or data entries.", min_length=1)
    n: int = content(13, describe="Words in a row that must be the same.", ge=1)
    min_words: int = content(8, describe="Shorter benchmark problems must equal the row's text.", ge=1)
    columns: tuple[str, ...] = content(
        ("problem",), describe="Columns of the rows that are searched.", min_length=1
    )


class NgramIndex:
    """The n-grams of a benchmark's problems, by length, and the whole texts of its very short ones."""

    def __init__(self, n: int, min_words: int) -> None:
        self.n = n
        self.shortest = min(min_words, n)
        self.by_length: dict[int, set[str]] = defaultdict(set)
        self.whole: set[str] = set()

    def add(self, text: str) -> None:
        """Add the n-grams of one problem."""
        words = words_of(text)
        if len(words) < self.shortest:
            self.whole.add(" ".join(words))
            return
        length = min(self.n, len(words))
        self.by_length[length].update(_ngrams(words, length))

    def overlaps(self, text: str) -> bool:
        """Whether a text shares an n-gram with any problem."""
        return self.shared(words_of(text)) is not None

    def shared(self, words: list[str]) -> str | None:
        """What words share with a problem: a run of n, or the whole of a shorter one."""
        for length, known in sorted(self.by_length.items(), reverse=True):
            if any(ngram in known for ngram in _ngrams(words, length)):
                return f"shares {length} words with" if length == self.n else "holds a whole problem of"
        return "is a problem of" if words and " ".join(words) in self.whole else None


class Screen:
    """Finds the benchmark that a text overlaps with; most texts are cleared by the n-grams' first words alone."""

    def __init__(self, benchmarks: dict[str, NgramIndex]) -> None:
        self.benchmarks = benchmarks
        self.shortest = min(index.shortest for index in benchmarks.values())
        self.whole = frozenset().union(*(index.whole for index in benchmarks.values()))
        known = (
            ngram for index in benchmarks.values() for some in index.by_length.values() for ngram in some
        )
        self.beginnings = {" ".join(ngram.split(" ", self.shortest)[: self.shortest]) for ngram in known}

    def find(self, text: str) -> str | None:
        """What a text shares with which benchmark; the first that shares an n-gram with it."""
        words = words_of(text)
        is_clear = self.beginnings.isdisjoint(_ngrams(words, self.shortest))
        if is_clear and (len(words) >= self.shortest or " ".join(words) not in self.whole):
            return None
        shared = ((index.shared(words), name) for name, index in self.benchmarks.items())
        return next((f"{what} {name}" for what, name in shared if what is not None), None)


def words_of(text: str) -> list[str]:
    """The words that are compared."""
    return _WORD.findall(unicodedata.normalize("NFKC", text).lower())


def _ngrams(words: list[str], length: int) -> Iterator[str]:
    return (" ".join(words[i : i + length]) for i in range(len(words) - length + 1))


def judge(rows: pl.LazyFrame, params: Params, context: FilterContext) -> pl.DataFrame:
    """Drop rows with a common run in any of the columns."""
    for column in params.columns:
        need_text(rows, column, "decontaminate")
    if not context.against:
        raise InputError(
            f"filter decontaminate: the sets to check against ({', '.join(params.against)}) were not given",
            "Name benchmarks or data entries of the study in `against`.",
        )
    return judge_in_processes(rows, params.columns, make_judge, (params, context.against), context)


def make_judge(params: Params, against: Iterable[Path]) -> Callable[[pl.DataFrame], list[str | None]]:
    """The judge of batches, which knows the n-grams of the sets' problems."""
    screen = Screen(_index_sets(params, against))

    def reasons(batch: pl.DataFrame) -> list[str | None]:
        texts = zip(*(batch[column].to_list() for column in params.columns), strict=True)
        return [next(filter(None, (screen.find(text) for text in row if text)), None) for row in texts]

    return reasons


def _index_sets(params: Params, against: Iterable[Path]) -> dict[str, NgramIndex]:
    """The n-grams of every set that is checked against, under the name of its artifact."""
    import polars as pl

    known: dict[str, NgramIndex] = {}
    for path in against:
        name = _FINGERPRINT.sub("", path.parent.name)
        index = known.setdefault(name, NgramIndex(params.n, params.min_words))
        for text in pl.read_parquet(path, columns=["problem"])["problem"].drop_nulls().to_list():
            index.add(text)
    return known
