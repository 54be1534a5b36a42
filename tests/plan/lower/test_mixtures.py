"""Mixtures of data: what is chosen from one is chosen in another order than what went into it."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from pipeline.engines.rows.store import first_by_key
from pipeline.plan.compiled import Plan
from tests.support.studies import BASIC, compile_text

MIXED = BASIC.replace(
    "  heldout: {",
    """\
  part: {mix: [{data: short, rows: 40}, {data: long}]}
  whole:
    mix: [{data: part, rows: 150}, {data: short, rows: 50}]
    filters: [{sample_share: 0.9}]
    rows: 120
  heldout: {""",
).replace("data: long, rows: 32", "data: whole, rows: 32")


def _chain(plan: Plan, stage: str, rows: int) -> list[tuple[str, int]]:
    """Stage and seed of every choice on the way to a subset, the last one first."""
    key = next(
        key
        for key, artifact in plan.artifacts.items()
        if artifact.stage == stage and getattr(artifact.settled.config, "rows", None) == rows
    )
    chain = []
    while inputs := dict(plan.artifacts[key].inputs).get("rows"):
        chain.append((plan.artifacts[key].stage, plan.artifacts[key].settled.config.seed))
        key = inputs[0]
    return chain


def test_choices_after_a_mixture_have_another_order_than_those_before(tmp_path: Path) -> None:
    chain = _chain(compile_text(MIXED, tmp_path), "subset", 32)
    assert [stage for stage, _ in chain] == ["subset", "subset", "filter", "mix", "mix"]
    (subset, cut, filtered, mixed, part) = (seed for _, seed in chain)
    assert subset == cut == filtered, "subsets of one set are nested"
    assert len({subset, mixed, part}) == 3


def test_a_subset_of_a_mixture_takes_of_each_part_what_it_has_in_it(tmp_path: Path) -> None:
    seeds = dict(_chain(compile_text(MIXED, tmp_path), "subset", 32)[i] for i in (0, 3))
    many, few = pl.Series([f"m{i}" for i in range(4000)]), pl.Series([f"f{i}" for i in range(300)])
    mixture = pl.concat([first_by_key(many, seeds["mix"], 100)["id"], few])
    taken = first_by_key(mixture, seeds["subset"], 80)["id"]
    assert 10 <= taken.str.starts_with("m").sum() <= 30, (
        "20 are expected; in the order of the choice it were 78"
    )
