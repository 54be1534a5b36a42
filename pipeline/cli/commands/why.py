"""`studyc why`: explain one artifact."""

from __future__ import annotations

import dataclasses
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.cli.command import Command, add_json, add_results, note_no_results, print_json
from pipeline.errors import InputError, StudyError

if TYPE_CHECKING:
    from pipeline.plan.compiled import Plan


def _add_key(parser: ArgumentParser) -> None:
    parser.add_argument("key", metavar="KEY", help="key, fingerprint, or the beginning of one")
    parser.add_argument(
        "specs",
        nargs="*",
        default=[],
        type=Path,
        metavar="SPEC",
        help="study files; all of specs/ when absent",
    )


def run(options: Namespace) -> int:
    """Find the artifact that a key names, and tell its story."""
    from pipeline.cli.text import explanation_text
    from pipeline.plan.explain import explain

    plan = _plan_with(options.key, options.specs, options.results)
    found = explain(plan, options.key)
    if options.json:
        print_json(dataclasses.asdict(found))
        return 0
    print(explanation_text(found))
    note_no_results(plan.results)
    return 0


def _plan_with(key: str, specs: Sequence[Path], results: Path) -> Plan:
    """The plan of the given specs, or of the first study in specs/ that has an artifact of this name."""
    from pipeline.plan.compiled import compile_plan
    from pipeline.plan.explain import fitting

    if specs:
        return compile_plan(specs, results=results)
    broken: list[Path] = []
    for path in sorted(Path("specs").rglob("*.yaml")):
        if path.name.endswith(".lock.yaml"):
            continue
        try:
            plan = compile_plan([path], results=results)
        except StudyError:
            broken.append(path)
            continue
        if fitting(plan, key):
            return plan
    what = f"no study in specs/ has an artifact called {key!r}"
    if broken:
        what += f"; {len(broken)} of them have errors: {', '.join(map(str, broken[:3]))}{', …' * (len(broken) > 3)}"
    raise InputError(what, "Name its study: studyc why KEY SPEC.")


COMMAND = Command(
    name="why",
    help="tell what an artifact is and why it would or would not run",
    more="Names the fields that differ from the nearest finished one.",
    example="studyc why 3f2a9c specs/demo.yaml",
    arguments=(add_json, _add_key, add_results),
    run=run,
)
