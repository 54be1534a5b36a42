"""`studyc reward`: describe a reward, or list all."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from pipeline.cli.command import Command
from pipeline.errors import Problem, SpecErrors, suggest


def _add_name(parser: ArgumentParser) -> None:
    parser.add_argument(
        "name", metavar="NAME", nargs="?", help="name in the catalogue; all are listed when absent"
    )


def run(options: Namespace) -> int:
    """Print one entry of the catalogue, or the formula of each."""
    from pipeline import rewards

    if options.name and options.name not in rewards.names():
        remedy = suggest(options.name, rewards.names())
        raise SpecErrors([Problem(f"reward {options.name!r} is unknown", remedy)])
    if options.name:
        print(rewards.describe(options.name))
    else:
        print("\n".join(f"{name:<24} {rewards.get(name).FORMULA}" for name in rewards.names()))
    return 0


COMMAND = Command(
    name="reward",
    help="show a reward's formula, source and parameters, and its value on a sample",
    example="studyc reward powered_length_penalty",
    arguments=(_add_name,),
    run=run,
)
