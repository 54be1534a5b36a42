"""`studyc verify`: re-check every checksum of the finished artifacts."""

from __future__ import annotations

from argparse import Namespace

from pipeline.cli.command import Command, add_json, add_specs, compile_given, note_no_results, print_json
from pipeline.errors import InputError


def run(options: Namespace) -> int:
    """Read every file of every finished artifact."""
    from pipeline.store.record import verify

    plan = compile_given(options)
    faults = [fault for key in plan.artifacts if key in plan.done for fault in verify(plan.folder(key))]
    if options.json:
        print_json({"checked": len(plan.done), "faults": faults})
    else:
        print("\n".join([*faults, f"{len(plan.done)} artifacts checked, {len(faults)} faults"]))
        note_no_results(plan.results)
    return InputError.exit_code if faults else 0


COMMAND = Command(
    name="verify",
    help="re-check the checksum of every file of a study's finished artifacts",
    more="Exit 4 if any differs.",
    example="studyc verify specs/demo.yaml",
    arguments=(add_specs, add_json),
    run=run,
)
