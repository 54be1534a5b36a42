"""`studyc plan`: print the counts per stage, and with --site what they would cost there."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.cli.command import Command, add_json, add_specs, compile_given, note_no_results, print_json

if TYPE_CHECKING:  # the help text must not wait for the planner
    from pipeline.plan.budget import Budget
    from pipeline.plan.compiled import Plan


def run(options: Namespace) -> int:
    """Compile and count; price on each cluster that is named."""
    from pipeline.plan.text import counts_table, unpinned_warning

    plan = compile_given(options)
    budgets = [_budget(plan, file) for file in options.site]
    if options.json:
        from pipeline.cli.text import plan_json

        print_json({**plan_json(plan), **_priced(budgets)})
        return 0
    print(counts_table(plan))
    if warning := unpinned_warning(plan):
        print(warning)
    if budgets:
        _print_budgets(budgets)
    note_no_results(plan.results)
    return 0


def _budget(plan: Plan, file: Path) -> Budget:
    """What a plan would cost on the cluster of a site file."""
    from pipeline.errors import RefusedError
    from pipeline.plan.budget import find_budget, offer_of
    from pipeline.site import read_site_file

    site = read_site_file(file)
    if site.cluster is None:
        raise RefusedError(
            f"{file} does not say what its cluster offers",
            "Add e.g. `cluster: {gpu: H100, nodes: 4, price_per_gpu_hour: 2.5}`.",
        )
    return find_budget(plan, offer_of(site.cluster, limit_hours=site.max_runtime_minutes / 60))


def _priced(budgets: list[Budget]) -> dict[str, object]:
    """The budgets for machines; nothing where no site was named."""
    if not budgets:
        return {}
    from pipeline.plan.budget_text import budget_json

    return {"budgets": [budget_json(budget) for budget in budgets]}


def _print_budgets(budgets: list[Budget]) -> None:
    from pipeline.plan.budget_text import budget_text

    for budget in budgets:
        print(f"\n{budget_text(budget)}")


def add_site(parser: ArgumentParser) -> None:
    """The clusters on which a plan is priced."""
    help_ = "site file with a `cluster`: print what the study would cost there; several are compared"
    parser.add_argument("--site", type=Path, action="append", default=[], metavar="FILE", help=help_)


COMMAND = Command(
    name="plan",
    help="print what a study needs, what is done and what would run",
    more="Runs nothing and imports no torch.",
    example="studyc plan specs/demo.yaml\n  studyc plan specs/*.yaml --json | jq .total\n"
    "  studyc plan specs/open_rs.yaml --site profiles/slurm/site.yaml",
    arguments=(add_specs, add_json, add_site),
    run=run,
)
