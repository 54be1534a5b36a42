"""Makes docs/demo.png, the README's figure, from a finished demo: `python -m docs.figure`."""

from __future__ import annotations

import csv
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
LEVELS = ("none", "128", "256", "3072")


def main(numbers: Path = Path("results/reports/demo/numbers.csv")) -> None:
    """Draw accuracy and tokens by number of long chains, each replicate a dot, with RL beside."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    rows = list(csv.DictReader(numbers.open()))
    colours = {"none": "#3b6ea5", "accuracy": "#c2571a", "length_penalty": "#2d8a5f"}
    names = {"none": "SFT only", "accuracy": "then RL, accuracy", "length_penalty": "then RL, length penalty"}
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.1), constrained_layout=True)
    for axis, metric, title in zip(
        axes, ("accuracy", "tokens"), ("accuracy (avg@4)", "answer length, tokens"), strict=True
    ):
        for rl, colour in colours.items():
            points = {
                level: [
                    float(r["estimate"])
                    for r in rows
                    if (r["sft"], r["rl"], r["metric"]) == (level, rl, metric)
                ]
                for level in LEVELS
            }
            found = [(i, points[level]) for i, level in enumerate(LEVELS) if points[level]]
            axis.plot([i for i, _ in found], [sum(v) / len(v) for _, v in found], "-" if rl == "none" else "D", color=colour,
                      label=names[rl], markersize=6)  # fmt: skip
            for i, values in found:
                axis.plot([i] * len(values), values, ".", color=colour, alpha=0.45, markersize=5)
        axis.set_title(title, loc="left", fontsize=10)
        axis.set_xticks(range(len(LEVELS)), LEVELS)
        axis.set_xlabel("long chains in fine-tuning")
        axis.set_ylim(bottom=0)
        axis.spines[["top", "right"]].set_visible(False)
        axis.grid(axis="y", alpha=0.25)
    axes[0].legend(frameon=False, fontsize=8, loc="lower right")
    figure.savefig(FOLDER / "demo.png", dpi=130)


if __name__ == "__main__":
    main()
