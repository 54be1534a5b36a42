"""Replies of a judge on disk: every reply is written down the moment it is there, and never asked for again.

Each attempt of a job appends to a file of its own, work/replies-00000.jsonl and so on, one line per reply; a line
that a killed attempt left half written is the last of its file and is passed over. A reply belongs to a problem
id, a sample index and a number of asking, so the size of shards may change between attempts.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from pipeline.errors import StageError

RowKey = tuple[str, int]
"""(problem id, sample index)."""


@dataclass(frozen=True)
class Question:
    """One asking about one row: the chat messages, and the seed of the reply."""

    row: RowKey
    asking: int
    messages: tuple[dict[str, str], ...]
    seed: int


@dataclass(frozen=True)
class Reply:
    """What came back: the text, why it ended, who is said to have written it, its tokens where they are known."""

    problem_id: str
    sample_index: int
    asking: int
    text: str
    finish_reason: str
    model: str | None = None
    tokens_in: int | None = None
    tokens_out: int | None = None
    retries: int = 0

    @property
    def row(self) -> RowKey:
        """The row that it is about."""
        return (self.problem_id, self.sample_index)


class Replies:
    """All replies of a job, of this attempt and of those before."""

    def __init__(self, work: Path) -> None:
        self.work = work
        self._by_row: dict[RowKey, list[Reply]] = {}
        earlier = sorted(work.glob("replies-*.jsonl"))
        for path in earlier:
            for reply in _read(path):
                self._note(reply)
        self.reused = len(self)
        self._path = work / f"replies-{len(earlier):05d}.jsonl"

    def __len__(self) -> int:
        return sum(map(len, self._by_row.values()))

    def __iter__(self) -> Iterator[Reply]:
        for replies in self._by_row.values():
            yield from replies

    def of(self, row: RowKey) -> list[Reply]:
        """The replies about one row, in the order of asking."""
        return self._by_row.get(row, [])

    def add(self, reply: Reply) -> None:
        """Write a reply down."""
        line = json.dumps(asdict(reply)).encode() + b"\n"
        try:
            with self._path.open("ab", buffering=0) as file:
                file.write(line)
        except OSError as problem:
            raise StageError(
                f"{self._path}: cannot be written: {problem}", "Free some disk space and run again."
            ) from problem
        self._note(reply)

    def _note(self, reply: Reply) -> None:
        known = self._by_row.setdefault(reply.row, [])
        if all(reply.asking != other.asking for other in known):
            known.append(reply)
            known.sort(key=lambda other: other.asking)


def _read(path: Path) -> Iterator[Reply]:
    lines = path.read_bytes().split(b"\n")
    for number, line in enumerate(lines, start=1):
        try:
            if line:
                yield Reply(**json.loads(line))
        except (ValueError, TypeError):
            if number < len(lines):
                raise StageError(
                    f"{path}, line {number}: not a reply of a judge",
                    "Move the file away and run again; what it holds is asked for again.",
                ) from None
