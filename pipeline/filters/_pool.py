"""Batches judged in several processes: for filters whose work holds Python's lock (tokens, shingles, runs of words).

Guaranteed: results in the order of the batches; a few batches in memory, however many there are; the processes serve
filter after filter and end with the caller, also when that is killed. They are fresh interpreters: no thread and no
lock is inherited.
"""

from __future__ import annotations

import itertools
import multiprocessing
import os
import pickle
import tempfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any, Self

from pipeline.end_with_parent import end_with_parent
from pipeline.errors import StageError

WAITING_PER_PROCESS = 2
"""Batches that wait for a process, so that none is idle."""

Judge = Callable[[Any], Any]


class Workers:
    """So many processes, started with the first work that one process should not do alone; `with` ends them."""

    def __init__(self, processes: int) -> None:
        self.processes = processes
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def map(
        self, make: Callable[..., Judge], arguments: tuple[Any, ...], batches: Iterable[Any]
    ) -> Iterator[Any]:
        """`make(*arguments)` in each process, then that on every batch; in this process where one is enough."""
        several = iter(batches)
        first = list(itertools.islice(several, 2))
        batches = itertools.chain(first, several)
        if self.processes <= 1 or len(first) < 2:
            yield from map(make(*arguments), batches)
            return
        with tempfile.TemporaryDirectory() as folder:
            made_of = Path(folder, "arguments")
            made_of.write_bytes(pickle.dumps((make, arguments)))
            try:
                yield from self._in_turn(made_of, batches)
            except BrokenProcessPool as error:
                raise StageError(
                    "a process that judged rows was killed",
                    "Give the job more memory (site file, stages: filter), or fewer processes; what is finished is kept.",
                ) from error

    def _in_turn(self, made_of: Path, batches: Iterable[Any]) -> Iterator[Any]:
        if self._pool is None:
            fresh = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(self.processes, fresh, end_with_parent, (os.getpid(),))
        waiting: deque[Future[Any]] = deque()
        for batch in batches:
            waiting.append(self._pool.submit(_judge, made_of, batch))
            if len(waiting) > self.processes * WAITING_PER_PROCESS:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


_made: tuple[Path | None, Judge] = (None, lambda batch: None)
"""What this process made last, and of which arguments."""


def _judge(made_of: Path, batch: Any) -> Any:
    global _made
    if _made[0] != made_of:
        make, arguments = pickle.loads(made_of.read_bytes())
        _made = (made_of, make(*arguments))
    return _made[1](batch)
