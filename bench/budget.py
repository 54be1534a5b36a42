"""Predicted against published costs: fold errors, what share the intervals hold, how wide they are.

Prior only: nothing is calibrated, and no run's own speed is told to the model.
"""

from __future__ import annotations

import math
import statistics

from bench.published_runs import RUNS
from pipeline.cost.predict import predict

TARGETS = (
    "targets: median <= 1.4, 80 % <= 1.9, at most 1 in 15 above 3, intervals hold >= 75 %, half-width <= 2.2"
)


def main() -> None:
    """Print the table and its summary."""
    print(f"{'run':<24} {'published':>10} {'predicted':>10}  {'80 % interval':<20} {'fold':>5}")
    folds, widths, held = [], [], 0
    for run in RUNS:
        found = predict(run.kind, run.settings)
        fold = max(found.mid / run.published, run.published / found.mid)
        is_held = found.low <= run.published <= found.high
        folds.append(fold)
        widths.append(found.fold)
        held += is_held
        interval = f"{found.low:,.1f}–{found.high:,.1f}"
        print(
            f"{run.name:<24} {run.published:>10,.1f} {found.mid:>10,.1f}  {interval:<20} {fold:>5.2f}{'' if is_held else '  outside'}"
        )
    folds.sort()
    width = math.exp(statistics.fmean(map(math.log, widths)))
    print(
        f"median {statistics.median(folds):.2f}, 80 % {folds[math.ceil(0.8 * len(folds)) - 1]:.2f}, worst {folds[-1]:.2f}, "
        f"above 3: {sum(f > 3 for f in folds)} of {len(folds)}; intervals hold {held / len(folds):.0%}, half-width x{width:.2f}"
    )
    print(TARGETS)


if __name__ == "__main__":
    main()
