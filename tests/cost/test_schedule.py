"""Schedules: what no schedule can beat, what Graham's bound promises, chunks, and jobs of several nodes."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.cost.schedule import Cluster, Task, schedule


@st.composite
def _graphs(draw: st.DrawFn) -> list[Task]:
    count = draw(st.integers(1, 25))
    tasks = []
    for i in range(count):
        inputs = draw(st.sets(st.integers(0, i - 1), max_size=3)) if i else set()
        seconds, gpus = draw(st.floats(1, 100)), draw(st.integers(0, 9))
        tasks.append(Task(str(i), seconds, gpus, tuple(map(str, sorted(inputs)))))
    return tasks


@given(_graphs(), st.integers(1, 3))
def test_a_schedule_keeps_its_promises(tasks: list[Task], nodes: int) -> None:
    cluster = Cluster(nodes=nodes, node_gpus=4)
    found = schedule(tasks, cluster)
    never = {task.key for task in tasks if task.gpus > cluster.gpus}
    for task in tasks:  # what waits for a job that cannot run does not run, either
        if never & set(task.inputs):
            never.add(task.key)
    assert set(found.spans) == {task.key for task in tasks} - never
    for task in tasks:
        for name in task.inputs:
            if task.key in found.spans:
                assert found.spans[name][1] <= found.spans[task.key][0]
    for moment in {start for start, _ in found.spans.values()}:
        used = [
            t.gpus
            for t in tasks
            if t.key in found.spans and found.spans[t.key][0] <= moment < found.spans[t.key][1]
        ]
        assert sum(used) <= cluster.gpus
    assert found.busy <= 1 + 1e-9


@given(st.lists(st.floats(1, 100), min_size=1, max_size=40), st.integers(1, 8))
def test_independent_jobs_of_one_device_end_within_grahams_bound(seconds: list[float], devices: int) -> None:
    found = schedule([Task(str(i), s, 1) for i, s in enumerate(seconds)], Cluster(1, devices))
    best = max(max(seconds), sum(seconds) / devices)
    assert best <= found.seconds * (1 + 1e-9) <= best * (4 / 3 + 1) and found.seconds <= (
        2 - 1 / devices
    ) * best * (1 + 1e-9)


def test_the_critical_path_is_the_longest_chain() -> None:
    tasks = [
        Task("base", 1, 0),
        Task("sft", 10, 8, ("base",)),
        Task("other", 12, 1),
        Task("rl", 5, 8, ("sft",)),
    ]
    found = schedule(tasks, Cluster(4, 8))
    assert found.critical == ("base", "sft", "rl") and found.critical_seconds == 16
    assert found.seconds == 16 and found.longest == "other"


def test_a_job_longer_than_the_limit_runs_in_chunks_that_start_anew() -> None:
    found = schedule([Task("rl", 100.0, 8)], Cluster(1, 8, limit_seconds=48, restart_seconds=2))
    assert found.chunks == {"rl": 3} and found.seconds == 104


def test_a_job_larger_than_a_node_takes_whole_nodes() -> None:
    tasks = [Task("large", 10, 16), Task("small", 10, 1)]
    assert schedule(tasks, Cluster(2, 8)).seconds == 20
    assert schedule(tasks, Cluster(3, 8)).seconds == 10
    assert schedule(tasks, Cluster(1, 8)).unplaced == ("large",)


def test_a_hundred_thousand_jobs_keep_a_cluster_busy() -> None:
    tasks = []
    for i in range(25_000):
        tasks += [
            Task(f"t{i}", 60.0 + i % 7, 4),
            Task(f"s{i}", 5.0, 1, (f"t{i}",)),
            Task(f"g{i}", 1.0, 0, (f"s{i}",)),
            Task(f"a{i}", 1.0, 0, (f"g{i}",)),
        ]
    found = schedule(tasks, Cluster(16, 8))
    assert len(found.spans) == 100_000 and found.busy > 0.95
    assert math.isfinite(found.seconds)


@pytest.mark.parametrize("nodes", [1, 4, 16])
def test_more_nodes_are_never_slower_here(nodes: int) -> None:
    tasks = [Task(str(i), 10.0 + i % 5, 4) for i in range(64)]
    assert schedule(tasks, Cluster(nodes * 2, 8)).seconds <= schedule(tasks, Cluster(nodes, 8)).seconds
