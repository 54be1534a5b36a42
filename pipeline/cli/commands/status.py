"""`studyc status`: show where the studies stand."""

from __future__ import annotations

import dataclasses
from argparse import Namespace

from pipeline.cli.command import (
    INCOMPLETE,
    Command,
    add_json,
    add_specs,
    compile_given,
    note_no_results,
    print_json,
)


def run(options: Namespace) -> int:
    """Compile, then look what is done, what is being written and what failed."""
    from pipeline.cli.text import status_text
    from pipeline.plan.status import study_status

    plan = compile_given(options)
    grids = [study_status(plan, study) for study in plan.studies]
    if options.json:
        print_json([dataclasses.asdict(grid) for grid in grids])
    else:
        print("\n\n".join(status_text(grid) for grid in grids))
        note_no_results(plan.results)
    return INCOMPLETE if plan.to_run else 0


COMMAND = Command(
    name="status",
    help="show cells × stages: done, running, waiting, failed",
    more="Exit 3 while anything is not done.",
    example="studyc status specs/demo.yaml",
    arguments=(add_specs, add_json),
    run=run,
)
