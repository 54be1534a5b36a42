"""Rows that a stage drops: how many for which reason, and the first few of them, for its record."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import polars as pl

EXAMPLES = 5
"""Ids shown per reason for which rows were dropped."""


@dataclass
class DroppedRows:
    """Rows that did not come through: how many for each reason, and the first few of them."""

    counts: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[str]] = field(default_factory=dict)

    def add(self, reason: str, ids: Sequence[str]) -> None:
        """Count rows that were dropped for one reason."""
        if len(ids):
            self.counts[reason] += len(ids)
            shown = self.examples.setdefault(reason, [])
            shown.extend(ids[: EXAMPLES - len(shown)])

    def reasons(self) -> str:
        """The reasons in the order found, each with its number of rows, for a message."""
        return ", ".join(f"{count} × {reason}" for reason, count in self.counts.items())

    def facts(self) -> dict[str, object]:
        """The counts and examples as plain values for the record."""
        return {"dropped": dict(self.counts), "dropped_examples": dict(self.examples)}


def count_dropped(judged: pl.DataFrame) -> DroppedRows:
    """What is dropped for which `reason` (null: the row stays), with the first few values of `id` of each."""
    dropped = DroppedRows()
    gone = judged.filter(pl.col("reason").is_not_null())
    for (reason,), part in gone.group_by("reason", maintain_order=True):
        dropped.add(str(reason), part["id"].to_list())
    return dropped
