"""A plan in words: the counts that `plan`, `run` and a dry run of Snakemake print alike."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipeline.plan.compiled import Plan


def plural(count: int, noun: str) -> str:
    """`1 cell`, `2 cells`."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def counts_table(plan: Plan) -> str:
    """Per stage: artifacts, done, to run; the same text from `plan`, `run` and a dry run of Snakemake."""
    names = ", ".join(study.study.name for study in plan.studies)
    rows: list[tuple[str, ...]] = [("stage", "artifacts", "done", "to run")]
    total: Counter[str] = Counter()
    for stage, row in plan.counts().items():
        rows.append((stage, *(f"{row[name]:,}" for name in ("artifacts", "done", "to_run"))))
        total.update(row)
    rows.append(("total", *(f"{total[name]:,}" for name in ("artifacts", "done", "to_run"))))
    return f"plan of {names}\n{table(rows)}"


def table(rows: Sequence[Sequence[str]]) -> str:
    """Columns aligned, the first to the left, a line above the last row."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = [
        "  "
        + "  ".join(
            [row[0].ljust(widths[0]), *(cell.rjust(w) for cell, w in zip(row[1:], widths[1:], strict=True))]
        )
        for row in rows
    ]
    rule = "  " + "-" * (len(lines[0]) - 2)
    return "\n".join([lines[0], rule, *lines[1:-1], rule, lines[-1]])


def unpinned_warning(plan: Plan) -> str | None:
    """One line that counts the hub names without a commit; None when all are pinned."""
    if not plan.unpinned:
        return None
    count = len(plan.unpinned)
    names = ", ".join(name for _, name in plan.unpinned[:3]) + (", …" if count > 3 else "")
    return f"warning: {plural(count, 'hub name')} not pinned to a commit ({names}); `studyc run` refuses until `studyc pin` has written the lock file"
