"""`studyc plan`: print the counts per stage."""

from __future__ import annotations

from argparse import Namespace

from pipeline.cli.command import Command, add_json, add_specs, compile_given, note_no_results, print_json


def run(options: Namespace) -> int:
    """Compile and count."""
    from pipeline.cli.text import plan_json
    from pipeline.plan.text import counts_table, unpinned_warning

    plan = compile_given(options)
    if options.json:
        print_json(plan_json(plan))
        return 0
    print(counts_table(plan))
    if warning := unpinned_warning(plan):
        print(warning)
    note_no_results(plan.results)
    return 0


COMMAND = Command(
    name="plan",
    help="print what a study needs, what is done and what would run",
    more="Runs nothing and imports no torch.",
    example="studyc plan specs/demo.yaml\n  studyc plan specs/*.yaml --json | jq .total",
    arguments=(add_specs, add_json),
    run=run,
)
