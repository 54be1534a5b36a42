"""The study of docs/how-to/claims.md on synthetic results: every claim decided, every figure and table drawn."""

from __future__ import annotations

import html
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from pipeline.report.build import build
from pipeline.report.drawing.declared_figures import draw_declared
from pipeline.report.evidence.derived_columns import vote
from pipeline.report.evidence.results import Store
from pipeline.report.evidence.summaries import Summaries, list_metrics
from tests.plan.request.test_claim_docs import EXAMPLES, compile_examples
from tests.support.synthetic import put_log, put_record

LENGTHS = {"none": 1.0, "plain": 0.9, "plp_2": 0.6, "plp_5": 0.45, "eff_1": 0.7, "eff_4": 0.5}


def put_unit(root: Path, unit, seed: int) -> None:
    """Scores, completions and both analyses of one unit, drawn around its cell."""
    rng = np.random.default_rng(seed)
    cell, problems, samples = unit.cell, 40, 4
    logit = {"easy": 0.6, "hard": -0.6}[unit.measure] + 0.8 * (cell["model"] == "large")
    logit += {"none": 0.0, "64": -1.2, "128": -0.4, "256": 0.3}[cell["sft"]] + 0.4 * (cell["rl"] != "none")
    hardness = np.random.default_rng(5).normal(0, 1, problems)
    right = rng.random((problems, samples)) < 1 / (1 + np.exp(hardness - logit - rng.normal(0, 0.1)))[:, None]
    mean = (
        (20 if cell["sft"] == "none" else 34) * LENGTHS[cell["rl"]] * (1.2 if unit.measure == "hard" else 1)
    )
    length = np.clip(rng.gamma(6, mean / 6, (problems, samples)).astype(int) + 1, 1, 48)
    right &= length < 48
    ids = [f"{unit.measure}-{i:02}" for i in range(problems) for _ in range(samples)]
    keys = {"problem_id": ids, "sample_index": list(range(samples)) * problems}
    scores = pl.DataFrame(
        {
            **keys,
            "correct": right.ravel(),
            "verdict": np.where(right.ravel(), "right", "wrong"),
            "extracted": np.where(right.ravel(), "42", rng.integers(0, 9, right.size).astype(str)),
            "gold": "42",
            "n_tokens": length.ravel(),
            "finish_reason": np.where(length.ravel() == 48, "length", "stop"),
        }
    )
    texts = scores.select("problem_id", "sample_index", "finish_reason").with_columns(
        problem=pl.lit("6 · 7?"), answer=pl.lit("42"), response=pl.lit(r"\boxed{42}")
    )
    reflects = rng.random(right.size) < 0.2 + length.ravel() / 80
    tables = {
        ("sample", unit.completions, "completions.parquet"): texts,
        ("score", unit.scores, "scores.parquet"): scores,
        ("analyse", unit.analyses["reflection_keywords"], "measures.parquet"): pl.DataFrame(
            {**keys, "reflects": reflects, "keywords": reflects.astype(float)}
        ),
        ("analyse", unit.analyses["layout"], "measures.parquet"): pl.DataFrame(
            {**keys, "boxed": right.ravel()}
        ),
    }
    for (stage, key, name), table in tables.items():
        (root / stage / key).mkdir(parents=True, exist_ok=True)
        table.write_parquet(root / stage / key / name)
        put_record(root, stage, key)


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    folder = tmp_path_factory.mktemp("declared")
    body: dict[str, list[str]] = {}
    for block in EXAMPLES:
        for part in re.split(r"^(?=\w+:)", block, flags=re.M)[1:]:
            head, _, rest = part.partition("\n")
            body.setdefault(head, []).append(rest)
    request = compile_examples(folder, *(f"{head}\n{''.join(rest)}" for head, rest in body.items())).request()
    root = folder / "results"
    for i, unit in enumerate(request.units):
        put_unit(root, unit, i)
    for i, run in enumerate({run.key: run for run in request.runs}.values()):
        put_log(root, run, seed=i, steps=200)
    facts = {
        "rows_in": 300,
        "rows_out": 290,
        "filters": [
            {
                "filter": "deduplicate", "rows_in": 300, "rows_out": 290, "dropped": {"duplicate": 10},
                "dropped_examples": {"duplicate": ["r1", "r2", "r3", "r4"]},
            }
        ],
    }  # fmt: skip
    for node in request.datasets:
        put_record(root, node.stage, node.key, facts=facts if node.stage == "filter" else {"rows_out": 300})
    return request, build(request, root, root / "report" / "r")


def test_every_form_of_claim_is_decided_or_says_why_not(built) -> None:
    request, page = built
    assert set(page.claims) == {claim.name for claim in request.claims} and len(page.claims) == 21
    assert "incomplete" not in page.claims.values()
    assert {"supported", "refuted", "undecided"} == set(page.claims.values())


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("shrinks", "supported"),
        ("longer", "refuted"),
        ("kept", "supported"),
        ("more_kept", "supported"),
        ("valley", "supported"),
        ("reflection_is_long", "undecided"),
        ("reward_is_flat_where_long", "supported"),
    ],
)
def test_clear_effects_are_decided_in_their_direction(built, name: str, status: str) -> None:
    assert built[1].claims[name] == status


def test_every_declared_figure_and_table_is_on_the_page(built) -> None:
    request, page = built
    text = page.page.read_text()
    for figure in request.figures:
        assert f"<h3>{figure.title}</h3>" in text
    assert "Nothing of it is measured yet" not in text
    assert 'class="column"' in text and 'class="band"' in text and "By sft" not in text
    assert "paper 76.5 %" in text and "another work" in text and "paper 5,446" in text


def table_of(page: str, title: str) -> list[list[str]]:
    """The rows of a table in words."""
    body = page.split(f"<h3>{title}</h3>")[1].split("</table>")[0].split("<tbody>")[1]
    rows = (re.findall(r"<td[^>]*>(.*?)</td>", row, re.S) for row in body.split("</tr>")[:-1])
    return [[re.sub(r"<[^>]+>", " ", cell).strip() for cell in row] for row in rows]


def test_a_table_of_checkpoints_has_their_numbers_beside_the_papers(built) -> None:
    _, page = built
    rows = table_of(page.page.read_text(), "selected")
    assert [row[:2] for row in rows] == [["none", "–"], ["plain", "50"], ["plp_5", "50"], ["plp_5", "100"]]
    assert "paper 30.0 %" in rows[1][2] and "paper 76.5 %" in rows[0][2] and "paper" not in rows[2][2]
    assert len({row[2] for row in rows}) == len(rows)


def test_another_work_is_listed_where_the_table_has_all_of_its_columns(built) -> None:
    text = built[1].page.read_text()
    assert "another work" in [row[0] for row in table_of(text, "main")]
    assert "another work" not in [row[0] for row in table_of(text, "selected")]


def test_another_work_stands_in_the_first_table_that_has_its_columns_and_in_no_other(built) -> None:
    request, page = built
    main = next(table for table in request.tables if table.title == "main")
    again = replace(main, name="again", title="again")
    root = page.page.parents[2]
    text = build(replace(request, tables=(main, again)), root, root / "report" / "again").page.read_text()
    assert "another work" in [row[0] for row in table_of(text, "main")]
    assert "another work" not in [row[0] for row in table_of(text, "again")]


def test_a_baseline_crosses_every_panel(built) -> None:
    text = built[1].page.read_text()
    steps = text.split("<h3>steps</h3>")[1].split("<h3>")[0]
    assert steps.count('class="reference"') == steps.count('class="panel"') == 2
    assert "small · none · none" in steps


def test_a_family_is_one_line_over_a_metric_and_the_papers_points_have_both_coordinates(built) -> None:
    figure = built[1].page.read_text().split("<h3>Two penalties</h3>")[1].split("<h3>")[0]
    panels = re.findall(r'<svg class="panel".*?</svg>', figure, re.S)
    assert len(panels) == 2, "one per measure"
    for panel in panels:
        lines = re.findall(r'<g class="(s\d)"><polyline class="thick" points="([^"]+)"', panel)
        assert [(colour, len(points.split())) for colour, points in lines] == [("s0", 2), ("s1", 2)]
        assert all(sorted(found) == found for found in (_columns(points) for _, points in lines))
        assert 'class="label' not in panel, "words among the points of a frontier hide them"
    for panel, printed in zip(panels, ("86.3 % at 411", "85.1 % at 3,606"), strict=True):
        marks = re.findall(r'<path class="mark (s\d)" [^>]*><title>([^<]+)</title>', panel)
        assert marks == [("s0", f"small · plp_5: {printed} (Paper, table 1)")], (
            "the other cells are no family's"
        )
    legend = html.unescape(figure).split('class="legend"')[1].split("</div>")[0]
    assert all(name in legend for name in ("PLP", "Efficient", "the paper's number"))


def test_several_metrics_share_a_panel_that_has_the_name_of_none(built) -> None:
    request, page = built
    figure = next(f for f in request.figures if f.name == "reflective")
    where = {"model": ("small",), "rl": ("none",)}
    store = Store(page.page.parents[2])
    summaries = Summaries(request, list_metrics(request, store), store, [])
    drawn = draw_declared(replace(figure, panels=None, where=where, measures=("easy",)), summaries, store)
    assert [title for title, _ in drawn.panels] == ["easy"] and len(drawn.legend) == 2


def test_columns_of_a_second_factor_are_hollow(built) -> None:
    request, page = built
    figure = next(f for f in request.figures if f.name == "reflective")
    store = Store(page.page.parents[2])
    summaries = Summaries(request, list_metrics(request, store), store, [])
    lines = {"lines": ("model", "rl"), "y": ("accuracy",), "panels": None, "measures": ("easy",)}
    where = {"model": ("small",), "sft": ("none",), "rl": ("none", "plain")}
    ((_, panel),) = draw_declared(replace(figure, where=where, **lines), summaries, store).panels
    assert panel.count('class="column"') == panel.count('class="column hollow"') == 1
    assert panel.count("stroke-dasharray") == 1


def _columns(points: str) -> list[float]:
    return [float(point.split(",")[0]) for point in points.split()]


def test_what_a_filter_dropped_is_told_with_examples(built) -> None:
    text = built[1].page.read_text()
    assert "290 rows of 300" in text and "10 duplicate" in text and "r1, r2, r3" in text and "r4" not in text


def test_scopes_say_what_an_interval_speaks_about(built) -> None:
    text = built[1].page.read_text()
    assert "logged steps taken as independent" in text and "rows like those of long" in text


def test_what_is_drawn_says_so_and_how_often_it_has_no_value(built) -> None:
    text = built[1].page.read_text()
    cards = {
        name: text.partition(f'id="claim-{name}"')[2].partition("</article>")[0] for name in built[1].claims
    }
    for name, card in cards.items():
        is_drawn = name in ("cut_most_where_easy", "best_early", "declines", "recovers_sooner", "frontier")
        assert ("<dd>20,000</dd>" in card, "<dt>degrees of freedom</dt>" in card) == (is_drawn, not is_drawn)
    assert re.search(r"without a value in [\d.]+ % of the draws", cards["frontier"])


def test_a_majority_vote_counts_right_answers_as_one_class() -> None:
    rows = pl.DataFrame(
        {
            "problem_id": ["a"] * 4 + ["b"] * 4,
            "sample_index": [0, 1, 2, 3] * 2,
            "correct": [True, True, False, False, False, False, False, False],
            "extracted": ["1/2", "0.5", "7", "8", None, "3", "3", None],
        }
    )
    assert vote(rows, ("a", "b"), 4).tolist() == [1.0, 0.0]
    assert vote(rows, ("a",), 2)[0] == pytest.approx((1 + 4 * 0.5) / 6)
