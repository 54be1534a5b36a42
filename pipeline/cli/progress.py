"""The display of `studyc run` on a terminal: a bar of jobs, and one bar inside every running stage (rich)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, TaskID, TextColumn, TimeElapsedColumn

from pipeline.plan.status import count_text
from pipeline.store.progress import read_progress

BARS = ((100, 28), (72, 10))
"""Bars from this width of the terminal, of this many columns; on narrower ones names and counts need all of it."""

CLOCK = len("0:00:00")
SHORTEST_NAME = 10


class Live:
    """A live region below the scrolling lines of finished jobs. Counts are always whole; names are cut to fit."""

    def __init__(self, console: Console | None = None) -> None:
        self.progress = Progress(console=console or Console())
        self.jobs: TaskID | None = None
        self.tasks: dict[Path, TaskID] = {}
        self.names: dict[TaskID, str] = {}
        self._fit()
        self.progress.start()

    def say(self, line: str) -> None:
        """Print a line above the bars."""
        self.progress.console.print(line, markup=False, highlight=False, soft_wrap=True)

    def show(self, done: int, total: int, running: Sequence[tuple[str, Path]]) -> None:
        """Redraw: jobs done of all, and each running stage (its name and its folder)."""
        if self.jobs is None:
            self.jobs = self._add("jobs", total=total)
        self.progress.update(self.jobs, completed=done, count=f"{done}/{total}")
        for folder in set(self.tasks) - {folder for _, folder in running}:
            gone = self.tasks.pop(folder)
            del self.names[gone]
            self.progress.remove_task(gone)
        for name, folder in running:
            if folder not in self.tasks:
                self.tasks[folder] = self._add(name)
            found = read_progress(folder)
            if found is None:
                continue
            self.progress.update(
                self.tasks[folder], completed=found.done, total=found.total, count=count_text(found)
            )
        self._fit()

    def close(self) -> None:
        """Leave the terminal as it was found."""
        self.progress.stop()

    def _add(self, name: str, total: float | None = None) -> TaskID:
        task = self.progress.add_task("", total=total, count="starting")
        self.names[task] = name
        return task

    def _fit(self) -> None:
        """Lay the columns out for the terminal's width of now."""
        width = self.progress.console.width
        bar = next((columns for least, columns in BARS if width >= least), 0)
        columns: list[ProgressColumn] = [TextColumn("{task.description}", markup=False)]
        if bar:
            columns += [BarColumn(bar_width=bar), TimeElapsedColumn()]
        self.progress.columns = (*columns, TextColumn("{task.fields[count]}", markup=False))
        counts = max((len(task.fields["count"]) for task in self.progress.tasks), default=0)
        room = width - counts - 1 - (bar + CLOCK + 2 if bar else 0)
        for task, name in self.names.items():
            self.progress.update(task, description=_cut(name, max(room, SHORTEST_NAME)))


def _cut(name: str, columns: int) -> str:
    """A name in at most so many columns of a terminal, in which some characters take two."""
    return name if cell_len(name) <= columns else set_cell_size(name, columns - 1) + "…"
