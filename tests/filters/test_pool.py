"""Batches judged in several processes: the order, what is in memory at once, what a kill says."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

import pytest

from pipeline.errors import StageError
from pipeline.filters._pool import WAITING_PER_PROCESS, Workers


def make_adder(more: int) -> Callable[[int], tuple[int, int]]:
    return lambda number: (number + more, os.getpid())


def make_dying() -> Callable[[int], None]:
    return lambda number: os.kill(os.getpid(), signal.SIGKILL) if number == 3 else None


def test_results_come_in_order_from_other_processes_and_batches_are_read_as_needed() -> None:
    read: list[int] = []

    def batches():
        for number in range(40):
            read.append(number)
            yield number

    found = []
    with Workers(2) as workers:
        for result, process in workers.map(make_adder, (100,), batches()):
            found.append((result, process))
            assert len(read) - len(found) <= 2 * WAITING_PER_PROCESS
    assert [result for result, _ in found] == list(range(100, 140))
    assert os.getpid() not in {process for _, process in found}


def test_the_same_processes_serve_one_filter_after_the_other() -> None:
    with Workers(2) as workers:
        several = [list(workers.map(make_adder, (more,), range(30))) for more in (0, 7)]
    processes = [{process for _, process in found} for found in several]
    assert len(processes[0] | processes[1]) <= 2
    assert [[result for result, _ in found] for found in several] == [list(range(30)), list(range(7, 37))]


@pytest.mark.parametrize(("batches", "processes"), [([1], 4), ([1, 2, 3], 1), ([], 4)])
def test_few_batches_or_one_process_need_no_other(batches, processes) -> None:
    with Workers(processes) as workers:
        found = list(workers.map(make_adder, (0,), batches))
    assert found == [(number, os.getpid()) for number in batches]


def test_a_killed_process_is_one_clear_message() -> None:
    with (
        pytest.raises(StageError, match="process that judged rows was killed") as caught,
        Workers(2) as workers,
    ):
        list(workers.map(make_dying, (), range(20)))
    assert "memory" in caught.value.remedy
