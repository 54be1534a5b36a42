"""Sample responses: per cell one that was graded right and one that was graded wrong, verbatim but shortened."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from pipeline.report.evidence.results import Store
from pipeline.request.page import Request
from pipeline.request.units import Unit

HEAD_CHARACTERS, TAIL_CHARACTERS = 900, 600


@dataclass(frozen=True)
class Response:
    """One response of a model: untrusted text, escaped only by the template."""

    is_right: bool
    verdict: str
    problem: str
    gold: str
    extracted: str
    n_tokens: int
    head: str
    tail: str
    omitted: int


@dataclass(frozen=True)
class CellResponses:
    """The samples of one cell and the measurement that they come from."""

    cell: Mapping[str, str]
    step: int | None
    measure: str
    scores: str
    responses: tuple[Response, ...]


def pick_responses(request: Request, store: Store) -> list[CellResponses]:
    """For each cell its first finished measurement's first right and first wrong response, by problem id.

    Measurements at the end of training come before checkpoints.
    """
    shown: dict[object, CellResponses] = {}
    for unit in sorted(request.units, key=lambda unit: unit.step is not None):
        key = tuple(unit.cell.items())
        if key not in shown and store.find(unit.completions) and store.find(unit.scores):
            shown[key] = CellResponses(unit.cell, unit.step, unit.measure, unit.scores, _pick(unit, store))
    return list(shown.values())


def _pick(unit: Unit, store: Store) -> tuple[Response, ...]:
    ids = ["problem_id", "sample_index"]
    texts = store.read_table(unit.completions, "completions.parquet").select([*ids, "problem", "response"])
    scores = store.read_table(unit.scores, "scores.parquet")
    joined = scores.join(texts, on=ids, how="inner").sort(ids)
    picked = [joined.filter(pl.col("correct") == wanted).head(1) for wanted in (True, False)]
    return tuple(_response(row) for frame in picked for row in frame.to_dicts())


def _response(row: Mapping[str, Any]) -> Response:
    text = str(row["response"])
    omitted = max(len(text) - HEAD_CHARACTERS - TAIL_CHARACTERS, 0)
    return Response(
        is_right=bool(row["correct"]),
        verdict=str(row["verdict"]),
        problem=str(row["problem"])[:2000],
        gold=str(row["gold"]),
        extracted="" if row["extracted"] is None else str(row["extracted"]),
        n_tokens=int(row["n_tokens"]),
        head=text[:HEAD_CHARACTERS] if omitted else text,
        tail=text[-TAIL_CHARACTERS:] if omitted else "",
        omitted=omitted,
    )
