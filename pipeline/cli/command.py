"""What a command of `studyc` is, and what several share: arguments, the plan of the given specs, JSON."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline import project

if TYPE_CHECKING:  # the help text must not wait for the planner
    from pipeline.plan.compiled import Plan

INCOMPLETE = 3
"""Exit code where something is not done yet."""

RESULTS = Path("results")

Arguments = Callable[[ArgumentParser], None]


@dataclass(frozen=True, kw_only=True)
class Command:
    """One command: what its help says, what it takes, and what it does.

    `run` returns the exit code and raises StudyError for what a user should read. It imports what it needs
    itself, so that `studyc --help` imports none of it.
    """

    name: str
    help: str
    example: str
    run: Callable[[Namespace], int]
    more: str = ""
    arguments: tuple[Arguments, ...] = ()

    @property
    def description(self) -> str:
        """The first paragraph of the command's own help."""
        return f"{self.help[0].upper()}{self.help[1:]}. {self.more}".strip()


def add_specs(parser: ArgumentParser) -> None:
    """One study or several, and where their results are."""
    parser.add_argument("specs", nargs="+", type=Path, metavar="SPEC", help="study file (YAML)")
    add_results(parser)


def add_results(parser: ArgumentParser) -> None:
    """The folder of all artifacts."""
    parser.add_argument(
        "--results", type=Path, default=RESULTS, help="folder of all artifacts (default: results)"
    )


def add_json(parser: ArgumentParser) -> None:
    """Whether a machine reads what is printed."""
    parser.add_argument("--json", action="store_true", help="print JSON for a machine")


def compile_given(options: Namespace) -> Plan:
    """The plan of the specs on the command line."""
    from pipeline.plan.compiled import compile_plan

    return compile_plan(options.specs, results=options.results)


def print_json(value: object) -> None:
    """A value as JSON on standard output."""
    print(json.dumps(value, indent=1))


def note_no_results(results: Path) -> None:
    """Say that there are no results where they were looked for, unless this is a clone in which nothing ran yet."""
    if results.is_dir() or (results == RESULTS and project.is_project(Path.cwd())):
        return
    print(f"no results here ({results.absolute()}): everything counts as not done", file=sys.stderr)
