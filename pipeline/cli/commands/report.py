"""`studyc report`: decide the claims and draw the page from what is done."""

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
    """Draw the page of every study, whatever is missing."""
    plan = compile_given(options)
    if not options.json:
        note_no_results(plan.results)  # before the page makes that folder
    from pipeline.cli.pages import build_reports
    from pipeline.cli.text import verdict_lines

    pages = build_reports(plan)
    if options.json:
        print_json([dataclasses.asdict(page) for page in pages])
    else:
        for page in pages:
            print("\n".join([f"report of {page.study}: {page.path}", *verdict_lines(page.claims)]))
            if page.missing:
                print(f"  {page.missing} of {page.wanted} measurements are not done yet")
    return INCOMPLETE if any(page.missing for page in pages) else 0


COMMAND = Command(
    name="report",
    help="decide the claims and draw the page from what is done",
    more="Works on unfinished studies; exit 3 if something is missing.",
    example="studyc report specs/demo.yaml",
    arguments=(add_specs, add_json),
    run=run,
)
