"""Batches judged in several processes: for filters whose work holds Python's lock (counting tokens).

Guaranteed: results in the order of the batches; a few batches in memory, however many there are; the processes end
with the caller, also when that is killed. They are fresh interpreters: no thread and no lock is inherited.
"""

from __future__ import annotations

import itertools
import multiprocessing
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from pipeline.errors import StageError
from pipeline.parents import end_with_parent

WAITING_PER_PROCESS = 2
"""Batches that wait for a process, so that none is idle."""

_judge: Callable[[Any], Any] | None = None


def map_in_processes(
    make: Callable[..., Callable[[Any], Any]],
    arguments: tuple[Any, ...],
    batches: Iterable[Any],
    processes: int,
) -> Iterator[Any]:
    """`make(*arguments)` in each process, then that on every batch; in this process where one is enough."""
    several = iter(batches)
    first = list(itertools.islice(several, 2))
    batches = itertools.chain(first, several)
    if processes <= 1 or len(first) < 2:
        yield from map(make(*arguments), batches)
        return
    fresh = multiprocessing.get_context("spawn")
    given = (os.getpid(), make, arguments)
    waiting: deque[Future[Any]] = deque()
    with ProcessPoolExecutor(processes, mp_context=fresh, initializer=_begin, initargs=given) as pool:
        try:
            for batch in batches:
                waiting.append(pool.submit(_run, batch))
                if len(waiting) > processes * WAITING_PER_PROCESS:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        except BrokenProcessPool as error:
            raise StageError(
                "a process that judged rows was killed",
                "Give the job more memory (site file, stages: filter), or fewer processes; what is finished is kept.",
            ) from error


def _begin(parent: int, make: Callable[..., Callable[[Any], Any]], arguments: tuple[Any, ...]) -> None:
    global _judge
    end_with_parent(parent)
    _judge = make(*arguments)


def _run(batch: Any) -> Any:
    assert _judge is not None
    return _judge(batch)
