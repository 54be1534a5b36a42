"""Benchmarks, one file each: where the problems come from, how many there are, what the gold answers are.

Every entry module defines `ENTRY`; its file name is the benchmark's name. A benchmark never has a row
without a gold answer: mapping refuses it and names the row.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Literal

from pipeline.catalogue import Catalogue
from pipeline.datasets import DatasetEntry, describe_entry

GoldKind = Literal["integer", "number", "latex"]


@dataclass(frozen=True)
class BenchmarkEntry(DatasetEntry):
    """A data set to be measured on, with the kind of its gold answers and the usual instruction."""

    gold_kind: GoldKind = "latex"
    text_answers: tuple[str, ...] = ()
    """Golds that are no mathematics to the grader: a response is right when its box holds the same text."""
    prompt_hint: str = "{problem}\nPlease reason step by step, and put your final answer within \\boxed{}."


_catalogue = Catalogue("pipeline.benchmarks", __path__, "benchmark")
names = _catalogue.names


def get(name: str) -> BenchmarkEntry:
    """The entry of one benchmark."""
    return _catalogue.module(name).ENTRY


@cache
def text_answers() -> frozenset[str]:
    """The golds of all benchmarks that are compared as text."""
    return frozenset(answer for name in names() for answer in get(name).text_answers)


def describe(name: str) -> str:
    """What the benchmark is, its row counts, the kind of its answers, its licence and its source."""
    entry = get(name)
    return f"{describe_entry(name, entry)}\n  gold answers: {entry.gold_kind}"
