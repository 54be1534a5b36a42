"""docs/how-to/claims.md: every example parses and compiles, and the forms lower to what they say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from pipeline.errors import SpecErrors
from pipeline.request.quantities import Curve, Extreme, Fact, First, Frontier, Ratio, leaves
from tests.support import ROOT
from tests.support.studies import compile_text

BLOCKS = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs/how-to/claims.md").read_text(), re.S)
STUDY, *EXAMPLES = BLOCKS


def compile_examples(folder: Path, *blocks: str):
    return compile_text(STUDY + "\n".join(blocks), folder).studies[0]


def claims_of(folder: Path, text: str):
    return {claim.name: claim for claim in compile_examples(folder, text).claims}


def errors_of(folder: Path, text: str) -> str:
    with pytest.raises(SpecErrors) as caught:
        compile_examples(folder, text)
    return str(caught.value)


@pytest.mark.parametrize("block", EXAMPLES, ids=lambda block: next(iter(yaml.safe_load(block))))
def test_every_example_compiles(block: str, tmp_path: Path) -> None:
    study = compile_examples(tmp_path, block)
    raw = yaml.safe_load(block)
    assert len(study.claims) == len(raw.get("claims", {}))
    assert all(claim.parts and claim.text for claim in study.claims)
    request = study.request()
    assert type(request).from_plain(request.to_plain()) == request


def test_a_claim_per_measure_and_model_has_a_part_for_each(tmp_path: Path) -> None:
    parts = claims_of(tmp_path, EXAMPLES[0])["longer"].parts
    assert [part.label for part in parts] == [
        f"model={m}, measure={b}" for m in ("small", "large") for b in ("easy", "hard")
    ]


def test_an_order_and_a_strict_trend_are_a_part_per_neighbour(tmp_path: Path) -> None:
    claims = claims_of(tmp_path, EXAMPLES[0])
    assert [p.label for p in claims["best_start"].parts] == ["64 < none", "none < 256"]
    assert [(p.label, p.kind) for p in claims["efficiency"].parts] == [
        ("64 → 128", "above"),
        ("128 → 256", "above"),
    ]
    assert len(claims["shrinks"].parts) == 2 and claims["shrinks"].parts[0].kind == "below"


def test_effects_over_measures_are_ratios_put_in_order(tmp_path: Path) -> None:
    (part, _) = claims_of(tmp_path, EXAMPLES[1])["cut_most_where_easy"].parts
    assert [type(q) for _, q in part.effect.terms] == [Ratio, Ratio] and part.kind == "below"


def test_logs_and_records_are_found(tmp_path: Path) -> None:
    claims = claims_of(tmp_path, EXAMPLES[2])
    curves = [q for q in leaves(claims["curve_falls"].parts[0].effect) if isinstance(q, Curve)]
    assert [(c.first, c.last) for c in curves] == [(91, 100), (1, 10)]
    assert len(curves[0].runs) == 2 * 2 * 4, "replicates × models × SFT levels"
    assert isinstance(claims["kept"].parts[0].effect, Fact)


def test_selections_first_levels_and_frontiers_are_what_they_say(tmp_path: Path) -> None:
    claims = claims_of(tmp_path, EXAMPLES[3])
    assert isinstance(claims["best_early"].parts[0].effect.terms[0][1], Extreme)
    first = claims["recovers_sooner"].parts[0].effect.terms[0][1]
    assert (
        isinstance(first, First)
        and len(first.levels) == 3
        and claims["recovers_sooner"].parts[0].value == 0.5
    )
    frontier = claims["frontier"].parts[0].effect
    assert isinstance(frontier, Frontier) and len(frontier.ours) == len(frontier.theirs) == 2


def test_published_tables_are_numbers_in_our_units(tmp_path: Path) -> None:
    published = compile_examples(tmp_path, EXAMPLES[-1]).request().published
    assert len(published) == 3 * 4 + 2 + 4 + 1
    assert published[0].value == pytest.approx(0.765) and published[1].value == 720
    assert {n.step for n in published} == {None, 50, 100}
    assert [n.label for n in published if not n.is_ours] == ["another work"] * 2


WRONG = {
    "unknown measure in an order": ("claims: {c: {of: {}, order: [{measure: eazy}, {measure: hard}]}}", "Did you mean 'easy'"),
    "unknown metric of a side": ("claims: {c: {of: {metric: tokenz}, above: {rl: none}}}", "Did you mean 'tokens'"),
    "a column no analysis writes": (
        "claims: {c: {metric: {mean: tokens, given: {layout.boxd: true}}, of: {}, at_least: 1}}",
        "Did you mean 'layout.boxed'",
    ),
    "a reward without its parameters": (
        "claims: {c: {metric: {sd: reward.powered_length_penalty}, of: {}, at_least: 1}}",
        "Its parameters, under `params`: ",
    ),
    "too few samples": ("claims: {c: {metric: pass@8, of: {}, at_least: 0.1}}", "needs 8 samples per problem, and 'easy' takes 4"),
    "data that is not there": ("claims: {c: {metric: data.lang.rows_out, at_least: 0.1}}", "Did you mean 'long'"),
    "a log column that is not there": ("claims: {c: {metric: training.tokns, of: {}, at_least: 1}}", "Did you mean 'training.tokens'"),
    "a step that is not published": ("claims: {c: {of: {rl: plain, step: {max: [50, 75]}}, at_least: 0.1}}", "no run produces"),
    "a stretch of checkpoints": ("claims: {c: {of: {step: {from: 1, to: 9}}, at_least: 0.1}}", "a stretch of steps is for training"),
    "a trend over one level": ('claims: {c: {along: {sft: ["64"]}, trend: rises}}', "there is no order"),
    "two comparisons": ("claims: {c: {of: {}, at_least: 1, between: [0, 1]}}", "exactly one of"),
    "a published number without a cell": (
        "published: [{source: T, cell: {rl: plain, sft: none, model: small, step: 60}, value: 1}]",
        "no cell answers to a published number",
    ),
    "a published number of many cells": ("published: [{source: T, cell: {rl: plain, sft: none}, value: 1}]", "Name its level of 'model'"),
    "a row of the wrong length": ("published: [{source: T, columns: [accuracy], rows: [{rl: plain, values: [1, 2]}]}]", "for 1 columns"),
    "a point of several cells": ("figures: {f: {x: sft, lines: rl}}", "cells that differ in 'model' share a point"),
    "an unknown axis": ("figures: {f: {x: sfft, lines: rl, panels: model}}", "Did you mean 'sft'"),
    "a band without a panel": ("figures: {f: {x: sft, lines: rl, panels: model, band: {smal: [0, 1]}}}", "Did you mean 'small'"),
    "an unknown column": ("tables: {t: {rows: [model, sft, rl], columns: [eazy accuracy]}}", "Did you mean 'easy'"),
    "a row of several cells": ("tables: {t: {rows: [model], columns: [accuracy]}}", "has rows that are several cells"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_what_no_run_produces_is_refused_with_its_place(name: str, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    text, wanted = WRONG[name]
    found = errors_of(tmp_path, text)
    assert wanted in found and re.search(r"study\.yaml:\d+:\d+: ", found), found


def test_a_table_has_the_cells_that_it_names_at_their_checkpoints(tmp_path: Path) -> None:
    block = next(b for b in EXAMPLES if "selected:" in b)
    (selected,) = [t for t in compile_examples(tmp_path, block).request().tables if t.name == "selected"]
    where = {"model": ("small",), "sft": ("none",)}
    assert selected.cells == (
        ({**where, "rl": ("none",)}, ()),
        ({**where, "rl": ("plain",)}, (50,)),
        ({**where, "rl": ("plp_5",)}, (50, 100)),
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("t: {rows: [rl], columns: [accuracy], cells: [{rl: plain, step: [50, 100]}], where: {model: small, sft: none}}", "several cells"),
        ("t: {rows: [rl, step], columns: [accuracy], cells: [{rl: plain}, {rl: plain}], where: {model: small, sft: none}}", "several cells"),
        ("t: {rows: [rl, step], columns: [accuracy], cells: [{rl: plain, step: 60}], where: {model: small, sft: none}}", "no cell"),
        ("t: {rows: [rl], columns: [accuracy], cells: [{rl: plane}]}", "no level 'plane'"),
        ("t: {rows: [rl], columns: [accuracy], where: {step: late}}", "no checkpoint"),
        ("t: {rows: [lr], columns: [accuracy]}", "'lr' is unknown"),
    ],
)  # fmt: skip
def test_tables_whose_rows_are_not_one_cell_each_are_errors(tmp_path: Path, text: str, message: str) -> None:
    assert message in errors_of(tmp_path, f"tables:\n  {text}\n")


def test_a_baseline_is_one_cell(tmp_path: Path) -> None:
    figure = "figures:\n  f: {x: step, where: {model: small, sft: none, rl: plain}, baseline: {rl: none, sft: none}}\n"
    assert "2 cells answer to a baseline" in errors_of(tmp_path, figure)


def narrow(text: str) -> str:
    """The study with a measure that is taken before RL and at one checkpoint alone."""
    return STUDY.replace("hard: }", f"hard: {{only: {text}}}}}")


def test_a_measure_is_taken_only_where_it_says(tmp_path: Path) -> None:
    whole = compile_text(STUDY, tmp_path, "whole.yaml").studies[0].lowered.units
    text = narrow("[{rl: none, sft: none}, {rl: plain, sft: none, step: 50}]")
    units = compile_text(text, tmp_path).studies[0].lowered.units
    assert [u for u in units if u.measure == "easy"] == [u for u in whole if u.measure == "easy"]
    taken = {(u.cell["sft"], u.cell["rl"], u.step) for u in units if u.measure == "hard"}
    assert taken == {("none", "none", None), ("none", "plain", 50)}


@pytest.mark.parametrize(
    ("only", "claim", "message"),
    [
        ("[{rl: none}]", "c: {of: {rl: plain, sft: none}, at_least: 0.1}", "'hard' is not taken at"),
        ("[{rl: none}]", "c: {of: {rl: plain, sft: none}, at_least: 0.1, measure: hard}", "no run produces"),
        ("[{lr: none}]", "c: {of: {rl: plain, sft: none}, at_least: 0.1, measure: easy}", "'lr' is unknown"),
        ("none", "c: {of: {rl: plain, sft: none}, at_least: 0.1, measure: easy}", "list of selectors"),
    ],
)
def test_claims_about_a_measure_where_it_is_not_taken_are_errors(
    tmp_path: Path, only: str, claim: str, message: str
) -> None:
    with pytest.raises(SpecErrors) as caught:
        compile_text(f"{narrow(only)}claims:\n  {claim}\n", tmp_path)
    assert message in str(caught.value)


def test_a_claim_without_words_names_the_metric_of_each_side(tmp_path: Path) -> None:
    claims = {claim.name: claim.text for claim in compile_examples(tmp_path, *_merge_claims(EXAMPLES)).claims}
    assert claims["reflection_is_long"] == (
        "mean tokens where reflects minus mean tokens where not reflects is between 5 and 500"
    )
    assert claims["more_kept"] == "data.long.rows_out is above data.long.dropped.duplicate"
    assert claims["kept"] == "data.long.rows_out is at least 0.9"
    assert claims["votes"] == "maj@4 of rl=plain, sft=none is above accuracy of rl=plain"
    assert claims["small_loss"] == "accuracy of rl=plp_2 minus that of rl=plain is at least -0.03"


def _merge_claims(blocks: list[str]) -> list[str]:
    bodies = [block.removeprefix("claims:\n") for block in blocks if block.startswith("claims:\n")]
    return ["claims:\n" + "".join(bodies)]
