"""The tables of a report: cells by measures, the paper's numbers beside ours, and the files beside the page."""

from __future__ import annotations

import csv
import itertools
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl

from pipeline.report.drawing.figures import match_published
from pipeline.report.drawing.words import format_value
from pipeline.report.evidence.sides import Group
from pipeline.report.evidence.summaries import ALL_MEASURES, Number, Summaries, Summary
from pipeline.request.claims import CompiledClaim
from pipeline.request.figures import Published
from pipeline.request.metrics import OfResponses
from pipeline.request.page import Request
from pipeline.verdicts.decide import ClaimVerdict

PART_COLUMNS = [
    "status",
    "effect",
    "threshold",
    "level",
    "p_value",
    "n_problems",
    "n_replicates",
    "scope",
    "note",
]
"""Fields of a part's verdict that claims.csv has as columns."""


@dataclass(frozen=True)
class TableRow:
    """One cell (and checkpoint) on one measure; `numbers` by metric, None where not measured."""

    cell: Mapping[str, str]
    step: int | None
    measure: str
    numbers: tuple[Summary | None, ...]
    scores: tuple[str, ...]
    done: int
    planned: int
    n_problems: int


@dataclass(frozen=True)
class PublishedRow:
    """A number of the paper beside ours; `difference` is ours minus theirs, None where ours is missing."""

    published: Published
    theirs: str
    ours: str
    difference: str
    is_inside: bool | None
    note: str


def tabulate_final_cells(summaries: Summaries) -> tuple[list[OfResponses], list[TableRow]]:
    """The mean of all measures of each cell at the end of training, and the metrics that any cell has there."""
    rows = tabulate_cells(summaries, summaries.final_groups(), summaries.measures_and_mean[:1])
    has_any = [any(row.numbers[i] is not None for row in rows) for i in range(len(summaries.metrics))]
    kept = has_any if any(has_any) else [True] * len(has_any)
    shown = [replace(row, numbers=tuple(itertools.compress(row.numbers, kept))) for row in rows]
    return list(itertools.compress(summaries.metrics, kept)), shown


def tabulate_cells(summaries: Summaries, groups: Sequence[Group], measures: Sequence[str]) -> list[TableRow]:
    """A row per cell or checkpoint and measure, with every metric; cells without any result too."""
    rows = []
    for group in groups:
        for measure in measures:
            numbers = tuple(summaries.get(group, measure, metric) for metric in summaries.metrics)
            first = next((s for s in numbers if s is not None), None)
            planned = len(summaries.units_of(group, measure))
            if not planned:
                continue
            scores = (
                tuple(dict.fromkeys(u.scores for u in first.units))
                if first and measure != ALL_MEASURES
                else ()
            )
            rows.append(
                TableRow(
                    dict(group[0]),
                    group[1],
                    measure,
                    numbers,
                    scores,
                    len(first.units) if first else 0,
                    planned,
                    first.estimate.n_problems if first else 0,
                )
            )
    return rows


def compare_published(summaries: Summaries) -> list[PublishedRow]:
    """Each number of the paper beside ours, where exactly one cell of ours answers to it."""
    rows = []
    for number in summaries.request.published:
        if not number.is_ours:
            continue
        metric = summaries.shown(number.metric)
        matches = match_published(number, summaries)
        theirs = format_value(number.value, metric.unit)
        if len(matches) != 1:
            note = (
                "no such cell in this study" if not matches else f"{len(matches)} cells of ours answer to it"
            )
            rows.append(PublishedRow(number, theirs, "–", "–", None, note))
            continue
        summary = summaries.get(matches[0], number.measure or summaries.measures_and_mean[0], metric)
        if summary is None:
            rows.append(PublishedRow(number, theirs, "–", "–", None, "ours is not measured yet"))
            continue
        low, high = summary.interval
        ours = f"{format_value(summary.estimate.value, metric.unit)} [{format_value(low, metric.unit)}, {format_value(high, metric.unit)}]"
        difference = format_value(summary.estimate.value - number.value, metric.unit, signed=True)
        inside = low <= number.value <= high
        rows.append(
            PublishedRow(number, theirs, ours, difference, inside, "" if inside else "outside our interval")
        )
    return rows


def write_numbers(numbers: Sequence[Number], request: Request, folder: Path) -> None:
    """numbers.parquet and numbers.csv: one row per unit and metric."""
    rows = [
        {
            **{factor: n.unit.cell.get(factor) for factor in request.factors},
            "replicate": n.unit.replicate,
            "seed": n.unit.seed,
            "step": n.unit.step,
            "measure": n.unit.measure,
            "metric": n.metric.name,
            "estimate": n.estimate,
            "low": n.low,
            "high": n.high,
            "n_problems": n.n_problems,
            "n_samples": n.n_samples,
            "scores": n.unit.scores,
        }
        for n in numbers
    ]
    text = dict.fromkeys((*request.factors, "measure", "metric", "scores"), pl.String)
    whole = dict.fromkeys(("replicate", "seed", "step", "n_problems", "n_samples"), pl.Int64)
    real = dict.fromkeys(("estimate", "low", "high"), pl.Float64)
    order = [*request.factors, "replicate", "seed", "step", "measure", "metric", "estimate", "low", "high"]
    kinds = {**text, **whole, **real}
    schema = {name: kinds[name] for name in [*order, "n_problems", "n_samples", "scores"]}
    frame = pl.DataFrame(rows, schema=schema, orient="row")
    frame.write_parquet(folder / "numbers.parquet")
    frame.write_csv(folder / "numbers.csv")


def write_claims(claims: Sequence[CompiledClaim], verdicts: Sequence[ClaimVerdict], folder: Path) -> None:
    """claims.json (everything) and claims.csv (one row per part)."""
    plain = [
        {
            "name": c.name,
            "text": c.text,
            "metric": c.metric.name,
            "status": v.status,
            "parts": [_plain(asdict(p)) for p in v.parts],
        }
        for c, v in zip(claims, verdicts, strict=True)
    ]
    (folder / "claims.json").write_text(
        json.dumps(plain, indent=1, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8"
    )
    with (folder / "claims.csv").open("w", newline="", encoding="utf-8") as stream:
        table = csv.writer(stream, lineterminator="\n")
        table.writerow(["claim", "claim_status", "part", "metric", "low", "high", *PART_COLUMNS])
        for claim, verdict in zip(claims, verdicts, strict=True):
            for part in verdict.parts:
                low, high = (v if math.isfinite(v) else None for v in part.interval or (math.nan, math.nan))
                values = [getattr(part, column) for column in PART_COLUMNS]
                table.writerow(
                    [claim.name, verdict.status, part.label, claim.metric.name, low, high, *values]
                )


def _plain(value: Any) -> Any:
    """JSON values; infinite limits as null."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, (list, tuple)) else value
