"""`studyc check`: validate, lint, and say the size."""

from __future__ import annotations

from argparse import Namespace

from pipeline.cli.command import Command, add_json, add_specs, compile_given, print_json


def run(options: Namespace) -> int:
    """Compile; every error of the files is raised at once."""
    from pipeline.cli.text import size_line
    from pipeline.plan.lint import lint
    from pipeline.plan.text import unpinned_warning

    plan = compile_given(options)
    warnings = [*lint(plan), *([w] if (w := unpinned_warning(plan)) else [])]
    if options.json:
        sizes = {study.study.name: size_line(study, plan) for study in plan.studies}
        print_json({"valid": True, "sizes": sizes, "warnings": warnings})
        return 0
    for study in plan.studies:
        print(f"{study.study.document.file}: valid\n  {size_line(study, plan)}")
    for warning in warnings:
        print(f"  {warning}")
    return 0


COMMAND = Command(
    name="check",
    help="say whether a study is valid, and how large it is",
    more="Every error of the file is shown with its line.",
    example="studyc check specs/demo.yaml",
    arguments=(add_specs, add_json),
    run=run,
)
