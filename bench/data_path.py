"""The data path of "Through the Valley" (arXiv:2506.07712): OpenR1-Math-220k's rows to six nested subsets.

Every stage runs as the product runs it on two cores: `python -m pipeline.backend.stage_process JOB` with two threads, one
after the other, the six subsets two at a time with one thread each. Measured are wall and processor time, the memory
of the largest process, and that of all processes together (sampled). The peer does the same steps with
`datasets.map` and `filter` in two processes, on STUDYC_BENCH_PEER_ROWS rows (ours is run on the same rows for
the ratio). Both must keep the same rows in the same order. STUDYC_BENCH_ROWS sets the size of our run alone;
225,000 is the real one: 9 GB of text, about 11 GB of scratch space, deleted afterwards.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import multiprocessing
import os
import shutil
import sys
import tempfile
import threading
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil

from bench.pairs import Cost, Row, cost, show
from pipeline.store.paths import facts_path, job_path

ROWS = 2_000
PEER_ROWS = 2_000
THREADS = 2
TOKENS = 16_384
SUBSETS = {"8k": 8_000, "16k": 16_000, "32k": 32_000, "64k": 64_000, "128k": 128_000, "220k": 220_000}
FULL_ROWS = 225_000
NEEDED_BYTES_PER_ROW = 60_000
SAMPLE_S = 0.1
BENCHMARKS = ("aime24", "amc23", "math500", "gsm8k", "minerva_math", "olympiadbench", "svamp", "gaokao2023en")


def main() -> None:
    """Print and keep the table."""
    rows = int(os.environ.get("STUDYC_BENCH_ROWS", ROWS))
    sample = min(rows, int(os.environ.get("STUDYC_BENCH_PEER_ROWS", PEER_ROWS)))
    with tempfile.TemporaryDirectory(dir=os.environ.get("STUDYC_BENCH_SCRATCH")) as scratch:
        folder = Path(scratch)
        free = shutil.disk_usage(folder).free
        if free < rows * NEEDED_BYTES_PER_ROW:
            raise RuntimeError(
                f"{rows:,} rows need {rows * NEEDED_BYTES_PER_ROW / 1e9:.0f} GB, {free / 1e9:.0f} GB are free"
            )
        _generate(folder, sample=sample)
        lines, facts = _compare(sample, folder)
        if rows > sample:
            _generate(folder, hub=rows)
            more, full = _alone(rows, folder)
            lines, facts = lines + more, {**facts, "full": full}
    note = f"{THREADS} threads; peer: datasets.map and filter, num_proc=2, both on {sample:,} rows; its memory is that of its largest process"
    show("data_path", note, lines, facts)


def _generate(folder: Path, **sets: int) -> None:
    """Write data sets of so many rows, in a process of its own: a child's peak memory counts from its parent's."""
    words = [f"{name}={rows}" for name, rows in sets.items()]
    cost([sys.executable, "-m", "bench.openr1_rows", *words], folder)


def _compare(rows: int, folder: Path) -> tuple[list[Row], dict[str, Any]]:
    """Ours and the peer on the same rows, and whether they keep the same."""
    with Memory() as together:
        costs, facts = run_path(folder / "sample", folder / "ours", folder, rows)
    (folder / "peer").mkdir()
    command = [sys.executable, "-m", "bench.peer_data_path", str(folder), str(rows), str(TOKENS)]
    with Memory() as peers:
        peer = cost(command, folder / "peer")
    with ProcessPoolExecutor(
        1, multiprocessing.get_context("spawn")
    ) as apart:  # what it reads is not ours to count
        apart.submit(_check_same, folder, rows).result()
    wall = sum(one.wall_s for one in costs.values())
    used = sum(one.cpu_s for one in costs.values())
    peak = max(one.peak_mb for one in costs.values())
    lines = [
        Row(
            f"{rows:,} rows, all steps",
            wall,
            peer.wall_s,
            "s",
            (wall / peer.wall_s,),
            f"≤ 0.20 at {FULL_ROWS:,}",
        ),
        Row("  processor time", used, peer.cpu_s, "s", (used / peer.cpu_s,), ""),
        Row("  peak memory of a process", peak, peer.peak_mb, "MB", (peak / peer.peak_mb,), ""),
        Row(
            "  of all together",
            together.peak_mb,
            peers.peak_mb,
            "MB",
            (together.peak_mb / peers.peak_mb,),
            "",
        ),
    ]
    for folder_of_one in ("sample", "ours", "peer"):
        shutil.rmtree(folder / folder_of_one)
    return lines, {"sample_rows": rows, "sample": _plain(costs), "sample_filters": facts["filters"]}


def _alone(rows: int, folder: Path) -> tuple[list[Row], dict[str, Any]]:
    """Ours at full size, stage by stage."""
    with Memory() as together:
        costs, facts = run_path(folder / "hub", folder / "full", folder, rows, is_kept=False)
    lines = []
    for name, one in costs.items():
        lines.append(Row(f"{rows:,} rows, {name}", one.wall_s, None, "s", (), ""))
        lines.append(Row("  peak memory of a process", one.peak_mb, None, "MB", (), ""))
    whole = sum(one.wall_s for one in costs.values())
    lines.append(Row(f"{rows:,} rows, all steps", whole, None, "s", (), ""))
    lines.append(Row("  rows a second", rows / whole, None, "rows/s", (), ""))
    lines.append(Row("  peak memory of all together", together.peak_mb, None, "MB", (), "ours < 4,000"))
    return lines, {
        "rows": rows,
        "text_bytes": json.loads((folder / "hub" / "size.json").read_text())["bytes"],
        "stages": _plain(costs),
        "filters": facts["filters"],
    }


def run_path(
    data: Path, place: Path, folder: Path, rows: int, *, is_kept: bool = True
) -> tuple[dict[str, Cost], dict[str, Any]]:
    """Source, filter and the subsets of a data set in the hub's layout; the costs and the filter's facts."""
    from pipeline.stages.source import from_catalogue

    source = from_catalogue("dataset", "openr1_math_220k", config="all", local=str(data), revision="0" * 40)
    benchmarks = [str(folder / "benchmarks" / name) for name in BENCHMARKS]
    steps = [
        {"name": "one_correct_trace"},
        {"name": "max_tokens", "params": {"tokens": TOKENS, "tokenizer": str(folder / "tokenizer")}},
        {"name": "deduplicate"},
        {"name": "near_duplicates"},
        {"name": "decontaminate", "params": {"against": list(BENCHMARKS)}},
    ]
    costs = {"source": _run_stage("source", place / "source", source.model_dump(mode="json"), {})}
    inputs = {"rows": [str(place / "source")], "against": benchmarks}
    costs["filter"] = _run_stage("filter", place / "filter", {"filters": steps, "seed": 0}, inputs)
    facts = json.loads(facts_path(place / "filter").read_text())["facts"]
    if not is_kept:
        shutil.rmtree(place / "source")

    def cut(named: tuple[str, int]) -> Cost:
        name, wanted = named
        target, given = place / f"subset-{name}", {"rows": [str(place / "filter")]}
        one = _run_stage("subset", target, {"rows": wanted, "seed": 0}, given, threads=1)
        if not is_kept:
            shutil.rmtree(target)
        return one

    sizes = sorted(subset_sizes(rows, facts["rows_out"]).items(), key=lambda named: -named[1])
    started = time.perf_counter()
    with ThreadPoolExecutor(THREADS) as pool:
        every = list(pool.map(cut, sizes))
    costs["subsets"] = Cost(
        time.perf_counter() - started, sum(one.cpu_s for one in every), max(one.peak_mb for one in every)
    )
    return costs, facts


def subset_sizes(rows: int, left: int) -> dict[str, int]:
    """The six sizes in proportion to the rows there are; the largest takes what is left."""
    return {
        name: max(1, min(left, size * rows // FULL_ROWS if rows < FULL_ROWS else size))
        for name, size in SUBSETS.items()
    }


def _run_stage(
    stage: str, target: Path, config: dict[str, Any], inputs: dict[str, list[str]], threads: int = THREADS
) -> Cost:
    job = {
        "key": target.name, "stage": stage, "config": config, "seed": 0, "inputs": inputs, "folder": str(target),
        "title": stage, "hints": {},
    }  # fmt: skip
    job_file = job_path(target)
    job_file.parent.mkdir(parents=True)
    job_file.write_text(json.dumps(job))
    given = [f"OMP_NUM_THREADS={threads}", f"POLARS_MAX_THREADS={threads}"]
    words = [sys.executable, "-m", "pipeline.backend.stage_process", str(job_file)]
    return cost(["env", *given, *words], target)


class Memory:
    """The most memory that all processes below this one held together; pages that they share count several times."""

    def __enter__(self) -> Memory:
        self.peak_mb = 0.0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._sample)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _sample(self) -> None:
        me = psutil.Process()
        while not self._ended.wait(SAMPLE_S):
            held = 0
            for child in me.children(recursive=True):
                with contextlib.suppress(psutil.Error):
                    held += child.memory_info().rss
            self.peak_mb = max(self.peak_mb, held / 2**20)


def _check_same(folder: Path, rows: int) -> None:
    """The rows of every subset are the peer's: the same problems and traces in the same order."""
    import polars as pl

    for ours in sorted((folder / "ours").glob("subset-*")):
        theirs = pl.read_parquet(folder / "peer" / f"{ours.name}.parquet")
        mine = pl.read_parquet(ours / "rows.parquet", columns=["uuid", "solution"])
        if not mine.equals(theirs.select("uuid", "solution")):
            raise RuntimeError(
                f"{ours.name}: the peer keeps other rows ({len(theirs)}) than we do ({len(mine)}) of {rows}"
            )


def _plain(costs: dict[str, Cost]) -> dict[str, dict[str, float]]:
    return {name: dataclasses.asdict(one) for name, one in costs.items()}


if __name__ == "__main__":
    main()
