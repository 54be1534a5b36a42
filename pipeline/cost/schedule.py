"""When will it be done: a list schedule of a plan's jobs on a cluster's nodes.

Jobs start in the order of the longest path that still depends on them, each on the node with the least room that has
enough (whole nodes where one is too small), as soon as its inputs are there. A job that is longer than the time limit
runs in chunks under it, each of which starts `restart_seconds` anew. The bounds of Graham (1969) hold: never shorter
than the critical path or than the work over all devices, and for jobs of one device at most twice the better of both.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

CPU_SLOTS = 64
"""CPU jobs that a cluster runs at once where nothing is said: they hardly ever decide."""


@dataclass(frozen=True, slots=True)
class Task:
    """One job: its seconds, its GPUs (0: a CPU job) and the jobs that it waits for."""

    key: str
    seconds: float
    gpus: int
    inputs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Cluster:
    """What jobs run on: nodes of so many GPUs, a time limit per job, CPU jobs at once."""

    nodes: int
    node_gpus: int
    limit_seconds: float = math.inf
    restart_seconds: float = 0.0
    cpu_slots: int = CPU_SLOTS

    @property
    def gpus(self) -> int:
        """All GPUs."""
        return self.nodes * self.node_gpus


@dataclass(frozen=True, slots=True)
class Schedule:
    """Seconds until all is done, when each job starts and ends, and what decided it.

    `critical` is the longest chain of jobs by their own seconds, first to last; `busy` the share of all GPU-seconds
    until the end that jobs use; `unplaced` the jobs that need more GPUs than the cluster has.
    """

    seconds: float
    spans: Mapping[str, tuple[float, float]]
    critical: tuple[str, ...]
    critical_seconds: float
    longest: str | None
    busy: float
    chunks: Mapping[str, int]
    unplaced: tuple[str, ...]


@dataclass(slots=True)
class _Room:
    """What is free: GPUs per node and CPU slots."""

    cluster: Cluster
    free: list[int] = field(init=False)
    slots: int = field(init=False)

    def __post_init__(self) -> None:
        self.free = [self.cluster.node_gpus] * self.cluster.nodes
        self.slots = self.cluster.cpu_slots

    def take(self, gpus: int) -> list[tuple[int, int]] | None:
        """(node, GPUs) for a job, or None while there is no room; a CPU job takes a slot, written as no node."""
        if gpus == 0:
            if self.slots == 0:
                return None
            self.slots -= 1
            return []
        if gpus <= self.cluster.node_gpus:
            fitting = [(free, node) for node, free in enumerate(self.free) if free >= gpus]
            if not fitting:
                return None
            _, node = min(fitting)
            self.free[node] -= gpus
            return [(node, gpus)]
        wanted = math.ceil(gpus / self.cluster.node_gpus)
        empty = [node for node, free in enumerate(self.free) if free == self.cluster.node_gpus][:wanted]
        if len(empty) < wanted:
            return None
        for node in empty:
            self.free[node] = 0
        return [(node, self.cluster.node_gpus) for node in empty]

    def give_back(self, taken: list[tuple[int, int]]) -> None:
        if not taken:
            self.slots += 1
        for node, gpus in taken:
            self.free[node] += gpus


def schedule(tasks: Sequence[Task], cluster: Cluster) -> Schedule:
    """A schedule of jobs given in an order in which inputs come first; inputs that are not among them are done."""
    by_key = {task.key: task for task in tasks}
    unplaced = tuple(task.key for task in tasks if task.gpus > cluster.gpus)
    chunks = {task.key: _count_chunks(task, cluster) for task in tasks}
    seconds = {task.key: task.seconds + (chunks[task.key] - 1) * cluster.restart_seconds for task in tasks}
    rank, following = _rank(tasks, seconds)
    waiting = {task.key: sum(name in by_key for name in task.inputs) for task in tasks}
    dependents: dict[str, list[str]] = {}
    for task in tasks:
        for name in task.inputs:
            if name in by_key:
                dependents.setdefault(name, []).append(task.key)
    skipped = set(unplaced)
    ready: dict[int, list[tuple[float, int, str]]] = {}
    order = {task.key: i for i, task in enumerate(tasks)}

    def enqueue(key: str) -> None:
        heapq.heappush(ready.setdefault(by_key[key].gpus, []), (-rank[key], order[key], key))

    for key, count in waiting.items():
        if count == 0 and key not in skipped:
            enqueue(key)
    room, now = _Room(cluster), 0.0
    spans: dict[str, tuple[float, float]] = {}
    running: list[tuple[float, int, str, list[tuple[int, int]]]] = []
    while True:
        _start(ready, room, now, seconds, running, spans, order)
        if not running:
            break
        now = running[0][0]
        while running and running[0][0] <= now:
            _, _, key, taken = heapq.heappop(running)
            room.give_back(taken)
            for name in dependents.get(key, ()):
                waiting[name] -= 1
                if waiting[name] == 0 and name not in skipped:
                    enqueue(name)
    return _summary(tasks, cluster, seconds, rank, following, spans, chunks, unplaced, now)


def _start(
    ready: dict[int, list[tuple[float, int, str]]],
    room: _Room,
    now: float,
    seconds: Mapping[str, float],
    running: list[tuple[float, int, str, list[tuple[int, int]]]],
    spans: dict[str, tuple[float, float]],
    order: Mapping[str, int],
) -> None:
    """Start what fits, most urgent first; of each size only the first in line is looked at."""
    blocked: set[int] = set()
    while heads := [(queue[0], gpus) for gpus, queue in ready.items() if queue and gpus not in blocked]:
        (_, _, key), gpus = min(heads)
        taken = room.take(gpus)
        if taken is None:
            blocked.add(gpus)
            continue
        heapq.heappop(ready[gpus])
        spans[key] = (now, now + seconds[key])
        heapq.heappush(running, (now + seconds[key], order[key], key, taken))


def _count_chunks(task: Task, cluster: Cluster) -> int:
    """Jobs that a task becomes under the time limit."""
    usable = cluster.limit_seconds - cluster.restart_seconds
    if task.seconds <= cluster.limit_seconds or usable <= 0:
        return 1
    return 1 + math.ceil((task.seconds - cluster.limit_seconds) / usable)


def _rank(tasks: Sequence[Task], seconds: Mapping[str, float]) -> tuple[dict[str, float], dict[str, str]]:
    """Seconds from each job's start to the end of the longest chain that depends on it, and the next of that chain."""
    rank = {task.key: seconds[task.key] for task in tasks}
    following: dict[str, str] = {}
    for task in reversed(tasks):
        for name in task.inputs:
            if name in rank and seconds[name] + rank[task.key] > rank[name]:
                rank[name] = seconds[name] + rank[task.key]
                following[name] = task.key
    return rank, following


def _summary(
    tasks: Sequence[Task],
    cluster: Cluster,
    seconds: Mapping[str, float],
    rank: Mapping[str, float],
    following: Mapping[str, str],
    spans: Mapping[str, tuple[float, float]],
    chunks: Mapping[str, int],
    unplaced: tuple[str, ...],
    end: float,
) -> Schedule:
    placed = [task for task in tasks if task.key in spans]
    critical: list[str] = []
    if placed:
        critical = [max(placed, key=lambda task: rank[task.key]).key]
        while critical[-1] in following:
            critical.append(following[critical[-1]])
    work = math.fsum(seconds[task.key] * task.gpus for task in placed)
    return Schedule(
        seconds=end,
        spans=spans,
        critical=tuple(critical),
        critical_seconds=rank[critical[0]] if critical else 0.0,
        longest=max(placed, key=lambda task: seconds[task.key]).key if placed else None,
        busy=work / (end * cluster.gpus) if end and cluster.gpus else 0.0,
        chunks={key: count for key, count in chunks.items() if count > 1},
        unplaced=unplaced,
    )
