"""Columns of responses that no artifact holds: a reward's value, a majority vote.

Guaranteed: a reward is given the verdict of the scores, so that a claim about it and a claim about accuracy
speak of the same grading; votes are averaged over subsets of the samples, ties shared out evenly.
"""

from __future__ import annotations

import itertools
import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from pipeline import rewards
from pipeline.errors import InputError
from pipeline.report.evidence.results import IDS, Store
from pipeline.request.metrics import Column, RewardValue
from pipeline.request.units import Unit
from pipeline.rewards import Rollouts
from pipeline.verdicts.paired import Array, EmptySideError

MOST_SUBSETS = 256
"""Votes per problem; beyond this many subsets of k samples, so many are drawn at random."""

_SILENT = re.compile(r"\s+|(?<!\\)\$|\\[,;!]|\\left|\\right|\.$|(?<=\d),(?=\d{3})")
_END = 1
_TOKEN = 0


@dataclass(frozen=True)
class _Scored(Rollouts):
    """Rollouts whose correctness is the scores', not graded again."""

    verdicts: tuple[bool, ...] = ()

    def correct(self, params: Any, rule: Any = None) -> list[bool | None]:
        return list(self.verdicts)


def add_column(rows: pl.DataFrame, column: Column | RewardValue, unit: Unit, store: Store) -> pl.DataFrame:
    """The responses with a reward's value as column `reward.NAME`; any other column must be there."""
    if column.spelling in rows.columns:
        return rows
    if isinstance(column, Column):
        what = f"the responses have no column {column.spelling!r}"
        raise InputError(what, f"Columns: {', '.join(rows.columns)}.")
    texts = store.read_table(unit.completions, "completions.parquet")
    joined = rows.join(
        texts.select(*IDS, "problem", "answer", "response", "finish_reason"), on=list(IDS), how="left"
    )
    settings = rewards.validate(column.reward, column.params)
    values = rewards.get(column.reward).make(settings)(_rollouts(joined))
    return rows.with_columns(pl.Series(column.spelling, values, dtype=pl.Float64))


def _rollouts(rows: pl.DataFrame) -> _Scored:
    ends = [reason != "length" for reason in rows["finish_reason"]]
    ids = [
        [_TOKEN] * (n - 1) + [_END if is_end else _TOKEN] if n else []
        for n, is_end in zip(rows["tokens"], ends, strict=True)
    ]
    return _Scored(
        prompts=rows["problem"].to_list(),
        texts=tuple(rows["response"]),
        golds=tuple(rows["answer"]),
        token_ids=ids,
        eos_token_ids=frozenset({_END}),
        verdicts=tuple(rows["correct"]),
    )


def vote(rows: pl.DataFrame, problems: Sequence[str], k: int) -> Array:
    """Per problem the chance that the most frequent answer of k of its samples is right (maj@k).

    Right answers are one class, however they are written, because the grader found each equal to the gold
    answer; wrong ones are classes of their text without spaces and layout. Samples without an answer do not vote.
    """
    grouped = rows.sort(IDS).group_by("problem_id", maintain_order=True).agg("correct", "extracted")
    found = {}
    for problem, rights, texts in grouped.iter_rows():
        ballots = [
            True if right else None if text is None else _silence(text)
            for right, text in zip(rights, texts, strict=True)
        ]
        found[problem] = _share_of_right_votes(ballots, k, problem)
    return np.array([found[problem] for problem in problems])


def _silence(text: str) -> str:
    return _SILENT.sub("", text.replace("\\dfrac", "\\frac").replace("\\tfrac", "\\frac")).casefold()


def _share_of_right_votes(ballots: Sequence[Any], k: int, problem: str) -> float:
    n = len(ballots)
    if k > n:
        raise EmptySideError(
            f"maj@{k} needs at least {k} samples per problem, not {n} ({problem})", "Sample more, or lower k."
        )
    subsets: Sequence[Sequence[int]]
    if math.comb(n, k) <= MOST_SUBSETS:
        subsets = list(itertools.combinations(range(n), k))
    else:
        rng = np.random.default_rng(k)
        subsets = [rng.choice(n, k, replace=False).tolist() for _ in range(MOST_SUBSETS)]
    return float(np.mean([_is_right([ballots[i] for i in subset]) for subset in subsets]))


def _is_right(ballots: Sequence[Any]) -> float:
    counts = Counter(ballot for ballot in ballots if ballot is not None)
    most = max(counts.values(), default=0)
    winners = [answer for answer, count in counts.items() if count == most]
    return winners.count(True) / len(winners) if winners else 0.0
