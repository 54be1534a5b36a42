"""What each command does: compile, print, hand over. One function per command, returning the exit code."""

from __future__ import annotations

import dataclasses
import json
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipeline.errors import InputError, Problem, SpecErrors, StudyError, suggest
from pipeline.plan.compiled import Plan, compile_plan

INCOMPLETE = 3


def _print_json(value: Any) -> None:
    print(json.dumps(value, indent=1))


def check(options: Namespace) -> int:
    """Validate, lint, and say the size."""
    from pipeline.cli.text import size_line
    from pipeline.plan.lint import lint
    from pipeline.plan.text import unpinned_warning

    plan = compile_plan(options.specs, results=options.results)
    warnings = [*lint(plan), *([w] if (w := unpinned_warning(plan)) else [])]
    if options.json:
        sizes = {study.study.name: size_line(study, plan) for study in plan.studies}
        _print_json({"valid": True, "sizes": sizes, "warnings": warnings})
        return 0
    for study in plan.studies:
        print(f"{study.study.document.file}: valid\n  {size_line(study, plan)}")
    for warning in warnings:
        print(f"  {warning}")
    return 0


def plan(options: Namespace) -> int:
    """Print the counts per stage."""
    from pipeline.cli.text import plan_json
    from pipeline.plan.text import counts_table, unpinned_warning

    compiled = compile_plan(options.specs, results=options.results)
    if options.json:
        _print_json(plan_json(compiled))
        return 0
    print(counts_table(compiled))
    if warning := unpinned_warning(compiled):
        print(warning)
    return 0


def why(options: Namespace) -> int:
    """Explain one artifact."""
    from pipeline.cli.text import explanation_text
    from pipeline.plan.explain import explain

    compiled = _plan_with(options.key, options.specs, options.results)
    found = explain(compiled, options.key)
    if options.json:
        _print_json(dataclasses.asdict(found))
    else:
        print(explanation_text(found))
    return 0


def _plan_with(key: str, specs: Sequence[Path], results: Path) -> Plan:
    """The plan of the given specs, or of the first study in specs/ that has an artifact of this name."""
    from pipeline.plan.explain import fitting

    if specs:
        return compile_plan(specs, results=results)
    broken: list[Path] = []
    for path in sorted(Path("specs").rglob("*.yaml")):
        if path.name.endswith(".lock.yaml"):
            continue
        try:
            compiled = compile_plan([path], results=results)
        except StudyError:
            broken.append(path)
            continue
        if fitting(compiled, key):
            return compiled
    what = f"no study in specs/ has an artifact called {key!r}"
    if broken:
        what += f"; {len(broken)} of them have errors: {', '.join(map(str, broken[:3]))}{', …' * (len(broken) > 3)}"
    raise InputError(what, "Name its study: studyc why KEY SPEC.")


def status(options: Namespace) -> int:
    """Show where the studies stand."""
    from pipeline.cli.text import status_text
    from pipeline.plan.status import study_status

    compiled = compile_plan(options.specs, results=options.results)
    grids = [study_status(compiled, study) for study in compiled.studies]
    if options.json:
        _print_json([dataclasses.asdict(grid) for grid in grids])
    else:
        print("\n\n".join(status_text(grid) for grid in grids))
    return INCOMPLETE if compiled.to_run else 0


def run(options: Namespace) -> int:
    """Compile, then hand over to Snakemake and show progress."""
    from pipeline.cli.run import run_studies

    return run_studies(
        options.specs, options.results, options.profile, options.passed_on, is_quiet=options.quiet
    )


def report(options: Namespace) -> int:
    """Draw the page from what is done."""
    from pipeline.cli.pages import build_reports

    compiled = compile_plan(options.specs, results=options.results)
    pages = build_reports(compiled)
    if options.json:
        _print_json([dataclasses.asdict(page) for page in pages])
    else:
        from pipeline.cli.text import verdict_lines

        for page in pages:
            print("\n".join([f"report of {page.study}: {page.path}", *verdict_lines(page.claims)]))
            if page.missing:
                print(f"  {page.missing} of {page.wanted} measurements are not done yet")
    return INCOMPLETE if any(page.missing for page in pages) else 0


def verify(options: Namespace) -> int:
    """Re-check every checksum of the finished artifacts."""
    from pipeline.store.record import verify as verify_artifact

    compiled = compile_plan(options.specs, results=options.results)
    faults = [
        fault
        for key in compiled.artifacts
        if key in compiled.done
        for fault in verify_artifact(compiled.folder(key))
    ]
    if options.json:
        _print_json({"checked": len(compiled.done), "faults": faults})
    else:
        print("\n".join([*faults, f"{len(compiled.done)} artifacts checked, {len(faults)} faults"]))
    return InputError.exit_code if faults else 0


def pin(options: Namespace) -> int:
    """Write the lock file."""
    from pipeline.cli.pin import pin_names

    compiled = compile_plan(options.specs, results=options.results)
    is_any = False
    for line in pin_names(compiled, is_update=options.update):
        is_any = True
        print(line)
    if not is_any:
        print("nothing to pin: these studies take nothing from the hub")
    return 0


def schema(options: Namespace) -> int:
    """Print the JSON schema."""
    from pipeline.spec.schema import schema_text

    print(schema_text(), end="")
    return 0


def new(options: Namespace) -> int:
    """Print a commented study."""
    from pipeline.spec.base import check_name
    from pipeline.spec.template import template

    try:
        check_name(options.name)
    except ValueError as error:
        what, _, remedy = str(error).partition("\n")
        raise SpecErrors([Problem(what, remedy)]) from None
    print(template(options.name), end="")
    return 0


def reward(options: Namespace) -> int:
    """Describe a reward, or list all."""
    from pipeline import rewards

    if options.name and options.name not in rewards.names():
        remedy = suggest(options.name, rewards.names())
        raise SpecErrors([Problem(f"reward {options.name!r} is unknown", remedy)])
    if options.name:
        print(rewards.describe(options.name))
    else:
        print("\n".join(f"{name:<24} {rewards.get(name).FORMULA}" for name in rewards.names()))
    return 0
