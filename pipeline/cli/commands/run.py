"""`studyc run`: hand over to Snakemake and show progress."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from pipeline import extras
from pipeline.cli.command import Command, add_specs


def _add_manner(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--profile", help="Snakemake profile, e.g. profiles/slurm (default: this machine, all cores)"
    )
    parser.add_argument(
        "--quiet", action="store_true", help="no progress display; Snakemake's own output instead"
    )


def run(options: Namespace) -> int:
    """Compile, then let Snakemake make what is missing; what follows `--` is for Snakemake."""
    extras.require("run")
    from pipeline.cli.handover import run_studies

    return run_studies(
        options.specs, options.results, options.profile, options.passed_on, is_quiet=options.quiet
    )


COMMAND = Command(
    name="run",
    help="run what is missing, through Snakemake",
    more="Everything after -- goes to Snakemake.",
    example="studyc run specs/demo.yaml\n  studyc run specs/demo.yaml --profile profiles/slurm -- --jobs 20",
    arguments=(add_specs, _add_manner),
    run=run,
)
