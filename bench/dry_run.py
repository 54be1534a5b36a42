"""`snakemake -n` of a study beside a hand-written wildcard Snakefile of the same graph."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from bench.large_study import SHAPES, write_study
from bench.pairs import ROOT, in_turn, row, show
from bench.peer_snakefile import write_peer

NOTE = "the peer has the same rules, jobs, edges and outputs, a dictionary for its inputs, and nothing else"
RUNS = {1_000: 3, 10_000: 3}
LINKED = ("Snakefile", "rules", "pipeline", "profiles", "envs")


def main() -> None:
    """Print and keep the table; STUDYC_BENCH_SIZES chooses the sizes."""
    sizes = [int(word) for word in os.environ.get("STUDYC_BENCH_SIZES", "1000 10000").split()]
    rows = []
    for size in sizes:
        with tempfile.TemporaryDirectory() as scratch:
            ours, peer = Path(scratch, "ours"), Path(scratch, "peer")
            ours.mkdir()
            peer.mkdir()
            for name in LINKED:
                (ours / name).symlink_to(ROOT / name)
            spec = write_study(size, ours)
            words = [sys.executable, "-m", "snakemake", "--dry-run"]
            by_hand = [*words, "--snakefile", write_peer(spec, peer).name]
            pairs = in_turn([*words, "--config", f"study={spec.name}"], by_hand, ours, peer, RUNS[size])
        what = f"snakemake -n, {SHAPES[size].artifacts:,} jobs"
        rows.append(row(what, pairs, "wall_s", "s", "≤ 1.25"))
        rows.append(row("  processor time", pairs, "cpu_s", "s", "≤ 1.25"))
        rows.append(row("  peak memory", pairs, "peak_mb", "MB", ""))
    show("dry_run", NOTE, rows)


if __name__ == "__main__":
    main()
