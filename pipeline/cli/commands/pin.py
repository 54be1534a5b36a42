"""`studyc pin`: write the lock file."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from pipeline.cli.command import Command, add_specs, compile_given


def _add_update(parser: ArgumentParser) -> None:
    parser.add_argument("--update", action="store_true", help="move existing pins to today's commit as well")


def run(options: Namespace) -> int:
    """Ask the hub for the commit of every name that has none."""
    from pipeline.cli.lock_file import pin_names

    is_any = False
    for line in pin_names(compile_given(options), is_update=options.update):
        is_any = True
        print(line)
    if not is_any:
        print("nothing to pin: these studies take nothing from the hub")
    return 0


COMMAND = Command(
    name="pin",
    help="write the commits of a study's hub names to the lock file",
    more="Needs the hub; never changes a pin unless --update is given.",
    example="studyc pin specs/long_cot_valley.yaml",
    arguments=(add_specs, _add_update),
    run=run,
)
