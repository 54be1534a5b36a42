"""Measuring two commands in turn, and the tables and files that benchmarks leave."""

from __future__ import annotations

import dataclasses
import json
import os
import statistics
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "results" / "bench"


@dataclasses.dataclass(frozen=True)
class Cost:
    """One run of a command: wall and processor seconds, and the memory of its largest process."""

    wall_s: float
    cpu_s: float
    peak_mb: float


@dataclasses.dataclass(frozen=True)
class Row:
    """One line of a benchmark: a figure (median), the peer's, their ratio pair by pair, and the target."""

    what: str
    ours: float
    peer: float | None
    unit: str
    ratios: tuple[float, ...]
    target: str

    @property
    def ratio(self) -> float | None:
        """The median of the ratios of the pairs."""
        return statistics.median(self.ratios) if self.ratios else None


def environment(**more: str) -> dict[str, str]:
    """A user's environment: one thread, nothing fetched, byte code kept, this checkout's code."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in ("PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED")
    }
    return {**kept, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(ROOT), **more}


def cost(command: Sequence[str], folder: Path) -> Cost:
    """Run a command to its end; RuntimeError with its last words where it fails."""
    started = time.perf_counter()
    with (folder / "output.txt").open("wb") as output:
        child = subprocess.Popen(
            command, cwd=folder, env=environment(), stdout=output, stderr=subprocess.STDOUT
        )
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise RuntimeError(
            f"{' '.join(command)} ended with {child.returncode}:\n{(folder / 'output.txt').read_text()[-2000:]}"
        )
    return Cost(time.perf_counter() - started, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def in_turn(
    ours: Sequence[str], peer: Sequence[str], folder: Path, peer_folder: Path, runs: int
) -> list[tuple[Cost, Cost]]:
    """Run two commands in turn, A B A B …, after one run of each that does not count."""
    pairs = [(cost(ours, folder), cost(peer, peer_folder)) for _ in range(runs + 1)]
    return pairs[1:]


def row(what: str, pairs: Sequence[tuple[Cost, Cost]], field: str, unit: str, target: str) -> Row:
    """The line of one figure of such pairs."""
    ours, peer = ([getattr(pair[side], field) for pair in pairs] for side in (0, 1))
    ratios = tuple(a / b for a, b in zip(ours, peer, strict=True))
    return Row(what, statistics.median(ours), statistics.median(peer), unit, ratios, target)


def show(name: str, note: str, rows: Sequence[Row], facts: Mapping[str, Any] | None = None) -> None:
    """Print the table and write it to results/bench/<name>.json."""
    print(
        f"\n{name}: {note}\n  {'what':<38} {'ours':>9} {'peer':>9} {'unit':<6} {'ratio':>6}  {'spread':<13} target"
    )
    for line in rows:
        peer = "" if line.peer is None else f"{line.peer:9.3f}"
        ratio = "" if line.ratio is None else f"{line.ratio:6.2f}"
        spread = f"{min(line.ratios):.2f} to {max(line.ratios):.2f}" if line.ratios else ""
        print(
            f"  {line.what:<38} {line.ours:9.3f} {peer:>9} {line.unit:<6} {ratio:>6}  {spread:<13} {line.target}",
            flush=True,
        )
    RESULTS.mkdir(parents=True, exist_ok=True)
    entries = [{**dataclasses.asdict(line), "ratio": line.ratio} for line in rows]
    content = {
        "benchmark": name,
        "note": note,
        "processors": os.cpu_count(),
        "rows": entries,
        **(facts or {}),
    }
    (RESULTS / f"{name}.json").write_text(json.dumps(content, indent=1) + "\n")
