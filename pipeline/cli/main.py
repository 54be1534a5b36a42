"""`studyc`: compile studies, say what they would do, run them, report and verify.

Exit codes: 0 fine; 1 unforeseen; 2 errors in a spec or on the command line; 3 incomplete (a run left
artifacts undone, a report lacks some, a status is not all done); 4 unusable input; 5 a stage failed;
6 refused, with the remedy.
"""

from __future__ import annotations

import argparse
import codecs
import dataclasses
import io
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipeline import __version__
from pipeline.errors import StudyError

EXIT_CODES = """exit codes:
  0  fine
  2  errors in a spec or on the command line (each with file:line:column and the remedy)
  3  incomplete: something is not done yet, or a run left something undone
  4  an input cannot be used      5  a stage failed      6  refused, with the remedy"""

EXAMPLES = {
    "check": "studyc check specs/demo.yaml",
    "plan": "studyc plan specs/demo.yaml\n  studyc plan specs/*.yaml --json | jq .total",
    "why": "studyc why 3f2a9c specs/demo.yaml",
    "status": "studyc status specs/demo.yaml",
    "run": "studyc run specs/demo.yaml\n  studyc run specs/demo.yaml --profile profiles/slurm -- --jobs 20",
    "report": "studyc report specs/demo.yaml",
    "verify": "studyc verify specs/demo.yaml",
    "pin": "studyc pin specs/long_cot_valley.yaml",
    "schema": "studyc schema > specs/schema.json",
    "new": "studyc new my_study > specs/my_study.yaml",
    "reward": "studyc reward powered_length_penalty",
}


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="studyc",
        description="The compiler for post-training studies: models × data scales × reward variants.",
        epilog=f"A first study:\n  studyc check specs/demo.yaml\n  studyc plan specs/demo.yaml\n  studyc run specs/demo.yaml\n\n{EXIT_CODES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"studyc {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def add(
        name: str, help_: str, more: str = "", *, specs: str | None = "+", as_json: bool = False
    ) -> argparse.ArgumentParser:
        command = commands.add_parser(
            name,
            help=help_,
            description=f"{help_[0].upper()}{help_[1:]}. {more}".strip(),
            epilog=f"example:\n  {EXAMPLES[name]}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        if specs:
            command.add_argument("specs", nargs=specs, type=Path, metavar="SPEC", help="study file (YAML)")
            command.add_argument(
                "--results",
                type=Path,
                default=Path("results"),
                help="folder of all artifacts (default: results)",
            )
        if as_json:
            command.add_argument("--json", action="store_true", help="print JSON for a machine")
        return command

    add(
        "check",
        "say whether a study is valid, and how large it is",
        "Every error of the file is shown with its line.",
        as_json=True,
    )
    add(
        "plan",
        "print what a study needs, what is done and what would run",
        "Runs nothing and imports no torch.",
        as_json=True,
    )
    why = add(
        "why",
        "tell what an artifact is and why it would or would not run",
        "Names the fields that differ from the nearest finished one.",
        specs=None,
        as_json=True,
    )
    why.add_argument("key", metavar="KEY", help="key, fingerprint, or the beginning of one")
    why.add_argument(
        "specs",
        nargs="*",
        default=[],
        type=Path,
        metavar="SPEC",
        help="study files; all of specs/ when absent",
    )
    why.add_argument(
        "--results", type=Path, default=Path("results"), help="folder of all artifacts (default: results)"
    )
    add(
        "status",
        "show cells × stages: done, running, waiting, failed",
        "Exit 3 while anything is not done.",
        as_json=True,
    )
    run = add("run", "run what is missing, through Snakemake", "Everything after -- goes to Snakemake.")
    run.add_argument(
        "--profile", help="Snakemake profile, e.g. profiles/slurm (default: this machine, all cores)"
    )
    run.add_argument(
        "--quiet", action="store_true", help="no progress display; Snakemake's own output instead"
    )
    add(
        "report",
        "decide the claims and draw the page from what is done",
        "Works on unfinished studies; exit 3 if something is missing.",
        as_json=True,
    )
    add(
        "verify",
        "re-check the checksum of every file of a study's finished artifacts",
        "Exit 4 if any differs.",
        as_json=True,
    )
    pin = add(
        "pin",
        "write the commits of a study's hub names to the lock file",
        "Needs the hub; never changes a pin unless --update is given.",
    )
    pin.add_argument("--update", action="store_true", help="move existing pins to today's commit as well")
    add("schema", "print the JSON schema of study files, for editors", specs=None)
    new = add("new", "print a commented study to start from", specs=None)
    new.add_argument("name", metavar="NAME", help="name of the study")
    reward = add(
        "reward", "show a reward's formula, source and parameters, and its value on a sample", specs=None
    )
    reward.add_argument(
        "name", metavar="NAME", nargs="?", help="name in the catalogue; all are listed when absent"
    )
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
    os.environ.setdefault(
        "PYDANTIC_DISABLE_PLUGINS", "__all__"
    )  # finding none costs as much as reading a spec
    from pipeline.cli import commands

    try:
        return getattr(commands, options.command)(options)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (StudyError, OSError) as problem:
        from pipeline.store.attempts import failure_of

        error = failure_of(problem, getattr(options, "results", Path()))
        if getattr(options, "json", False):
            print(json.dumps(_as_json(error), indent=1))
        print(_with_count(error), file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("interrupted; finished work is kept and a new run resumes", file=sys.stderr)
        return 130


def _as_json(error: StudyError) -> dict[str, Any]:
    """An error for machines: `problems` have their places, for editors and annotations."""
    found = []
    for problem in getattr(error, "problems", ()):
        where = dataclasses.asdict(problem.where) if problem.where else {}
        found.append({**where, "what": problem.what, "remedy": problem.remedy})
    return {"error": str(error), "exit_code": error.exit_code, "problems": found}


def _with_count(error: StudyError) -> str:
    problems = getattr(error, "problems", ())
    return f"{error}\n{len(problems)} errors" if len(problems) > 1 else str(error)


if __name__ == "__main__":
    sys.exit(main())
