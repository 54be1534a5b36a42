"""`studyc plan` and `check` of 1,000, 10,000 and 100,000 artifacts, the start of the process included."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from bench.large_study import SHAPES, write_study
from bench.pairs import Row, environment, in_turn, row, show

PEER = """\
import itertools, sys, pydantic, yaml
class Study(pydantic.BaseModel):
    study: str
    replicates: int
    factors: dict[str, dict]
    measure: dict
study = Study.model_validate(yaml.load(open(sys.argv[1]), yaml.CSafeLoader))
names = [list(levels) for levels in study.factors.values()]
cells = list(itertools.product(*names, range(study.replicates), study.measure, ("sample", "score")))
print(len(cells))
"""
"""The least that any planner on this stack does: import pydantic and yaml, read the file, count its crossing."""

NOTE = (
    "processes started afresh; the peer imports pydantic and yaml, reads the file and enumerates the crossing"
)
RUNS = {1_000: 9, 10_000: 5, 100_000: 3}
WALL_TARGETS = {1_000: "ours < 0.5 s", 10_000: "", 100_000: "ours < 10 s"}


def main() -> None:
    """Print and keep the table."""
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        (folder / "peer.py").write_text(PEER)
        medians: dict[int, float] = {}
        for size, shape in SHAPES.items():
            spec = write_study(size, folder)
            peer = [sys.executable, "peer.py", spec.name]
            for command in ("plan", "check"):
                ours = [sys.executable, "-m", "pipeline", command, spec.name]
                pairs = in_turn(ours, peer, folder, folder, RUNS[size])
                what = f"studyc {command}, {shape.artifacts:,} artifacts"
                rows.append(row(what, pairs, "wall_s", "s", WALL_TARGETS[size]))
                rows.append(row("  processor time", pairs, "cpu_s", "s", ""))
                rows.append(
                    row("  peak memory", pairs, "peak_mb", "MB", "ours < 1,000" if size == 100_000 else "")
                )
                if command == "plan":
                    medians[size] = rows[-2].ours
                    _check_count(spec, folder, shape.artifacts)
    small, middle, large = SHAPES
    slope = [(medians[b] - medians[a]) / (b - a) * 1e6 for a, b in ((small, middle), (middle, large))]
    rows.append(
        Row(
            "µs per artifact, 10k–100k over 1k–10k",
            slope[1],
            slope[0],
            "µs",
            (slope[1] / slope[0],),
            "linear: about 1",
        )
    )
    show("planning", NOTE, rows)


def _check_count(spec: Path, folder: Path, wanted: int) -> None:
    """The size of the study is what its name says, or the figures mean nothing.

    Asked of a process of its own: a child's peak memory counts from that of the process that started it.
    """
    command = [sys.executable, "-m", "pipeline", "plan", spec.name]
    shown = subprocess.run(
        command, cwd=folder, env=environment(), capture_output=True, check=True, text=True
    ).stdout
    total = next(line for line in shown.splitlines() if line.split()[:1] == ["total"])
    found = int(total.split()[1].replace(",", ""))
    if found != wanted:
        raise RuntimeError(f"{spec.name} has {found} artifacts, not {wanted}")


if __name__ == "__main__":
    main()
