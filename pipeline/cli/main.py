"""`studyc`: compile studies, say what they would do, run them, report and verify.

Exit codes: 0 fine; 1 unforeseen; 2 errors in a spec or on the command line; 3 incomplete (a run left
artifacts undone, a report lacks some, a status is not all done); 4 unusable input; 5 a stage failed;
6 refused, with the remedy.
"""

from __future__ import annotations

import argparse
import codecs
import dataclasses
import gc
import io
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipeline import __version__, extras
from pipeline.cli.command import Command, print_json
from pipeline.cli.commands import all_commands
from pipeline.errors import SpecErrors, StudyError

EXIT_CODES = """exit codes:
  0  fine
  2  errors in a spec or on the command line (each with file:line:column and the remedy)
  3  incomplete: something is not done yet, or a run left something undone
  4  an input cannot be used      5  a stage failed      6  refused, with the remedy"""


def build_parser() -> argparse.ArgumentParser:
    """The command line; the command's own declaration becomes `options.command`."""
    parser = argparse.ArgumentParser(
        prog="studyc",
        description="The compiler for post-training studies: models × data scales × reward variants.",
        epilog=f"A first study:\n  studyc check specs/demo.yaml\n  studyc plan specs/demo.yaml\n  studyc run specs/demo.yaml\n\n{EXIT_CODES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"studyc {__version__}")
    parsers = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in all_commands():
        own = parsers.add_parser(
            command.name,
            help=command.help,
            description=command.description,
            epilog=f"example:\n  {command.example}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        own.set_defaults(command=command)
        for add in command.arguments:
            add(own)
    return parser


PLAIN = {
    "■": "#", "▶": ">", "✗": "x", "·": ".", "×": "x", "…": "...", "→": "->", "≤": "<=", "≥": ">=", "±": "+-",
    "–": "-", "—": "-", "−": "-", "’": "'",
}  # fmt: skip
"""What we print where the output's encoding has no such character; `?` for all others."""


def _plainly(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(PLAIN.get(c, "?") for c in error.object[error.start : error.end]), error.end


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    gc.set_threshold(
        50_000, 20, 100
    )  # imports and plans only grow: looking through them often is a twentieth of a start
    words = list(sys.argv[1:] if arguments is None else arguments)
    passed_on: list[str] = []
    if words[:1] == ["run"] and "--" in words:
        cut = words.index("--")
        words, passed_on = words[:cut], words[cut + 1 :]
    codecs.register_error("studyc-plain", _plainly)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="studyc-plain")
    options = build_parser().parse_args(words)
    options.passed_on = passed_on
    # finding pydantic's plug-ins, of which there are none, costs as much as reading a spec
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    command: Command = options.command
    try:
        return command.run(options)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except ModuleNotFoundError as missing:
        refusal = extras.refusal_of(missing)
        if refusal is None:
            raise
        return _end_with(refusal, options)
    except (StudyError, OSError) as problem:
        from pipeline.store.attempts import failure_of

        return _end_with(failure_of(problem, getattr(options, "results", Path())), options)
    except KeyboardInterrupt:
        print("interrupted; finished work is kept and a new run resumes", file=sys.stderr)
        return 130


def _end_with(error: StudyError, options: argparse.Namespace) -> int:
    """Tell an error, to a machine as well where it asked; returns its exit code."""
    if getattr(options, "json", False):
        print_json(_as_json(error))
    print(_with_count(error), file=sys.stderr)
    return error.exit_code


def _as_json(error: StudyError) -> dict[str, Any]:
    """An error for machines: `problems` have their places, for editors and annotations."""
    found = []
    for problem in error.problems if isinstance(error, SpecErrors) else ():
        where = dataclasses.asdict(problem.where) if problem.where else {}
        found.append({**where, "what": problem.what, "remedy": problem.remedy})
    return {"error": str(error), "exit_code": error.exit_code, "problems": found}


def _with_count(error: StudyError) -> str:
    count = len(error.problems) if isinstance(error, SpecErrors) else 0
    return f"{error}\n{count} errors" if count > 1 else str(error)


if __name__ == "__main__":
    sys.exit(main())
