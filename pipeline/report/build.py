"""The page of a study: report.html and, beside it, its numbers and verdicts as tables.

Guaranteed: one self-contained page (no network, works from file://), the same bytes for the same request and
records; a study of which little is done gives a page that says so. Responses of models are escaped.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from pipeline.report.drawing.declared_figures import draw_declared
from pipeline.report.drawing.declared_tables import tabulate_declared
from pipeline.report.drawing.figures import draw_checkpoint_figure, draw_level_figures
from pipeline.report.drawing.forest import view_claim
from pipeline.report.drawing.lines import Figure
from pipeline.report.drawing.tables import (
    compare_published,
    tabulate_cells,
    tabulate_final_cells,
    write_claims,
    write_numbers,
)
from pipeline.report.drawing.training import draw_training_figures
from pipeline.report.drawing.words import format_duration, format_value
from pipeline.report.evidence import account
from pipeline.report.evidence.responses import pick_responses
from pipeline.report.evidence.results import Store
from pipeline.report.evidence.sides import gather_claim
from pipeline.report.evidence.summaries import Summaries, list_metrics, number_units
from pipeline.request.metrics import OfResponses
from pipeline.request.page import Request
from pipeline.verdicts.decide import ClaimVerdict, decide_claim


@dataclass(frozen=True)
class Built:
    """What came out: the page, each claim's status, and how much of the study is missing."""

    page: Path
    claims: dict[str, str]
    n_missing: int
    n_artifacts: int


def build(request: Request, results_root: Path, out_dir: Path) -> Built:
    """Write report.html, numbers.csv, numbers.parquet, claims.csv and claims.json into `out_dir`."""
    store = Store(results_root)
    metrics = list_metrics(request, store)
    numbers = number_units(request, metrics, store)
    summaries = Summaries(request, metrics, store, numbers)
    verdicts = [decide_claim(claim, gather_claim(claim, request, store)) for claim in request.claims]
    missing, n_artifacts = account.list_missing(request, store)
    out_dir.mkdir(parents=True, exist_ok=True)
    context = {
        **_describe_results(request, summaries, verdicts, store),
        **_describe_account(request, store, out_dir),
        "missing": missing,
        "n_artifacts": n_artifacts,
    }
    page = out_dir / "report.html"
    page.write_text(_environment().get_template("report.html.j2").render(context), encoding="utf-8")
    write_numbers(numbers, request, out_dir)
    write_claims(request.claims, verdicts, out_dir)
    return Built(page, {v.name: v.status for v in verdicts}, len({m.key for m in missing}), n_artifacts)


def _describe_results(
    request: Request, summaries: Summaries, verdicts: list[ClaimVerdict], store: Store
) -> dict[str, Any]:
    """What the page says about the measurements."""
    pairs = zip(request.claims, verdicts, strict=True)
    final_metrics, final_rows = tabulate_final_cells(summaries)
    return {
        "request": request,
        "claims": [
            view_claim(
                claim,
                verdict,
                summaries.shown(claim.metric) if isinstance(claim.metric, OfResponses) else claim.metric,
            )
            for claim, verdict in pairs
        ],
        "tally": Counter(verdict.status for verdict in verdicts),
        "figures": _draw_figures(request, summaries, store),
        "tables": [tabulate_declared(table, summaries) for table in request.tables],
        "training": draw_training_figures(request, store),
        "metrics": summaries.metrics,
        "final_metrics": final_metrics,
        "final_rows": final_rows,
        "rows": tabulate_cells(summaries, summaries.groups, summaries.measures_and_mean),
        "published": compare_published(summaries),
        "responses": pick_responses(request, store),
        "n_cells": len({group[0] for group in summaries.groups}),
        "n_replicates": len({unit.replicate for unit in request.units}),
    }


def _draw_figures(request: Request, summaries: Summaries, store: Store) -> list[Figure]:
    """The declared figures; where none are declared, one per factor and one of the checkpoints."""
    if request.figures is not None:
        return [draw_declared(figure, summaries, store) for figure in request.figures]
    checkpoints = draw_checkpoint_figure(summaries)
    return [*draw_level_figures(summaries), *([checkpoints] if checkpoints else [])]


def _describe_account(request: Request, store: Store, out_dir: Path) -> dict[str, Any]:
    """What the page says about cost, data and provenance."""
    found = store.lineage(key for _, key in account.list_keys(request))
    data = account.trace_data(request, store)
    return {
        "costs": account.add_costs(found),
        "data": data,
        "most_rows": max((n for row in data for n in (row.rows_in, row.rows_out) if n), default=1),
        "environment": account.describe_environment(found),
        "records": found,
        "link": {record.key: account.link_record(record, out_dir) for record in found},
    }


def _environment() -> Environment:
    loader = PackageLoader("pipeline.report")
    environment = Environment(
        loader=loader,
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["value"] = format_value
    environment.filters["duration"] = format_duration
    environment.globals["style"] = Markup(loader.get_source(environment, "style.css")[0])
    return environment
