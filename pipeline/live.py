"""The display of `studyc run` on a terminal: a bar of jobs, and one bar inside every running stage (rich)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn


class Live:
    """A live region below the scrolling lines of finished jobs."""

    def __init__(self, console: Console | None = None) -> None:
        self.progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=28),
            MofNCompleteColumn(),
            TextColumn("{task.fields[unit]}"),
            TimeElapsedColumn(),
            console=console or Console(),
        )
        self.jobs: TaskID | None = None
        self.tasks: dict[Path, TaskID] = {}
        self.progress.start()

    def say(self, line: str) -> None:
        """Print a line above the bars."""
        self.progress.console.print(line, markup=False, highlight=False, soft_wrap=True)

    def show(self, done: int, total: int, running: Sequence[tuple[str, Path]]) -> None:
        """Redraw: jobs done of all, and each running stage (its name and its folder)."""
        if self.jobs is None:
            self.jobs = self.progress.add_task("jobs", total=total, unit="")
        self.progress.update(self.jobs, completed=done)
        for folder in set(self.tasks) - {folder for _, folder in running}:
            self.progress.remove_task(self.tasks.pop(folder))
        for name, folder in running:
            if folder not in self.tasks:
                self.tasks[folder] = self.progress.add_task(name[:60], total=None, unit="starting")
            try:
                found = json.loads((folder / "work" / "progress.json").read_text())
            except (OSError, ValueError):
                continue
            self.progress.update(
                self.tasks[folder], completed=found["done"], total=found["total"], unit=found["unit"]
            )

    def close(self) -> None:
        """Leave the terminal as it was found."""
        self.progress.stop()
