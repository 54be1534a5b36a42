"""`studyc schema`: print the JSON schema of study files."""

from __future__ import annotations

from argparse import Namespace

from pipeline.cli.command import Command


def run(options: Namespace) -> int:
    """Print it."""
    from pipeline.spec.schema import schema_text

    print(schema_text(), end="")
    return 0


COMMAND = Command(
    name="schema",
    help="print the JSON schema of study files, for editors",
    example="studyc schema > specs/schema.json",
    run=run,
)
