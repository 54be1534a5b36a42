"""`studyc new`: print a commented study."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from pipeline.cli.command import Command
from pipeline.errors import Problem, SpecErrors


def _add_name(parser: ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help="name of the study")


def run(options: Namespace) -> int:
    """Print it, under a name that is safe as a path."""
    from pipeline.spec.base import check_name
    from pipeline.spec.template import template

    try:
        check_name(options.name)
    except ValueError as error:
        what, _, remedy = str(error).partition("\n")
        raise SpecErrors([Problem(what, remedy)]) from None
    print(template(options.name), end="")
    return 0


COMMAND = Command(
    name="new",
    help="print a commented study to start from",
    example="studyc new my_study > specs/my_study.yaml",
    arguments=(_add_name,),
    run=run,
)
