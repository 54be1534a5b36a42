"""The page: whole, partial and empty studies; escaping; links; the same bytes for the same input."""

from __future__ import annotations

import csv
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import polars as pl
import pytest

from pipeline.report.build import build, format_duration
from pipeline.request.quantities import Mean
from pipeline.request.request import CompiledClaim, GivenMetric, Part
from pipeline.stages import report
from pipeline.store.job import Job
from tests.support.synthetic import make_valley

ONE = {"models": ("qwen2.5-0.5b", "qwen2.5-1.5b"), "measures": ("aime24", "math500")}
VOID = {"meta", "line", "circle", "polyline", "rect", "path", "br", "link", "img", "input", "hr"}


class Checker(HTMLParser):
    """Fails on tags that do not nest; collects addresses, tag names and text."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.addresses: list[str] = []
        self.tags: set[str] = set()

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        self.addresses += [value for name, value in attributes if name in ("href", "src")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_startendtag(self, tag, attributes):
        self.tags.add(tag)


def check(page: Path) -> Checker:
    checker = Checker()
    checker.feed(page.read_text(encoding="utf-8"))
    assert checker.open == []
    return checker


@pytest.fixture(scope="module")
def full(tmp_path_factory):
    root = tmp_path_factory.mktemp("full") / "results"
    request = make_valley(root, replicates=2, **ONE)
    return request, root, build(request, root, root / "report" / "valley-0123456789ab")


def test_a_whole_study_shows_every_claim_with_its_verdict(full):
    request, _, built = full
    text = built.page.read_text()
    assert set(built.claims) == {claim.name for claim in request.claims}
    for claim in request.claims:
        assert f'class="claim {built.claims[claim.name]}" id="claim-{claim.name}"' in text
    assert built.claims["valley"] == "supported" and built.claims["longer"] == "supported"


def test_the_page_is_one_file_that_needs_no_network(full):
    checker = check(full[2].page)
    assert not checker.tags & {"script", "link", "img", "iframe"}
    assert not [a for a in checker.addresses if re.match(r"[a-z]+:|//", a)]
    assert "url(" not in full[2].page.read_text() and "@import" not in full[2].page.read_text()


def test_every_link_leads_to_a_file_or_a_place_on_the_page(full):
    _, _, built = full
    text = built.page.read_text()
    records = 0
    for address in check(built.page).addresses:
        if address.startswith("#"):
            assert f'id="{address[1:]}"' in text
        else:
            assert (built.page.parent / address).resolve().is_file(), address
            records += address.endswith("record.json")
    assert records > 20


def test_figures_show_levels_checkpoints_and_training(full):
    text = full[2].page.read_text()
    for title in (
        "By sft",
        "By rl",
        "By model",
        "Along RL training",
        "Reinforcement learning",
        "Fine-tuning",
    ):
        assert f"<h3>{title}</h3>" in text


def test_data_flow_cost_and_missing_are_told(full):
    text = full[2].page.read_text()
    assert "78,311 rows of 90,120" in text and "11,002 no correct trace" in text
    assert "long-cot-32k" in text and full[2].n_missing == 1
    assert "GPU-hours" in text


def test_published_numbers_stand_beside_ours(full):
    text = full[2].page.read_text()
    assert "MATH500 after 8k" in text and "4,300" in text and "no such cell in this study" in text


def test_tables_beside_the_page_hold_the_same_numbers(full):
    request, _, built = full
    table = pl.read_parquet(built.page.parent / "numbers.parquet")
    metrics = {"accuracy", "tokens", "truncated", "reflection.reflects", "reflection.operations"}
    assert set(table["metric"]) == metrics and table.height == len(metrics) * len(request.units)
    assert pl.read_csv(built.page.parent / "numbers.csv").height == table.height
    assert table.filter(pl.col("low") > pl.col("estimate")).is_empty()
    claims = json.loads((built.page.parent / "claims.json").read_text())
    assert {c["name"]: c["status"] for c in claims} == built.claims
    rows = list(csv.DictReader((built.page.parent / "claims.csv").open()))
    assert len(rows) == sum(len(claim.parts) for claim in request.claims)


def test_the_overview_leaves_out_what_no_cell_was_measured_by_on_all_measures(full, tmp_path):
    request, root, built = full
    units = tuple(replace(u, analyses={}) if u.measure == "math500" else u for u in request.units)
    page = build(replace(request, units=units, claims=()), root, tmp_path / "r").page

    def heads(path):
        return re.findall(
            r"<th[^>]*>([^<]+)</th>", path.read_text().split('id="numbers"')[1].split("</thead>")[0]
        )

    assert set(heads(built.page)) > set(heads(page)) and "accuracy" in heads(page)


def test_equal_input_gives_equal_bytes(full, tmp_path):
    request, root, built = full
    again = build(request, root, root / "report" / "valley-0123456789ab-again")
    for name in ("report.html", "numbers.csv", "numbers.parquet", "claims.csv", "claims.json"):
        assert (again.page.parent / name).read_bytes() == (built.page.parent / name).read_bytes(), name


def test_a_partial_study_shows_what_is_there_and_names_what_is_not(tmp_path):
    root = tmp_path / "results"
    request = make_valley(root, replicates=2, **ONE, is_done=lambda u: u.cell["model"] == "qwen2.5-0.5b")
    built = build(request, root, root / "report" / "r")
    text = built.page.read_text()
    check(built.page)
    assert set(built.claims.values()) == {"incomplete"} and built.n_missing > 50
    assert (
        "measurements are not there yet" in text and "qwen2.5-1.5b · 8k · none · aime24 · replicate 1" in text
    )
    parts = json.loads((built.page.parent / "claims.json").read_text())[0]["parts"]
    assert [p["status"] for p in parts] == ["supported", "incomplete"]


def test_a_claim_about_responses_that_nobody_gave_is_undecided_and_says_so(tmp_path):
    root = tmp_path / "results"
    request = make_valley(root, replicates=1, **ONE)
    name = "mean tokens where tokens 8,000,000–9,000,000"
    giant = GivenMetric(statistic="mean", column="tokens", given={"tokens": (8e6, 9e6)})
    units = tuple(i for i, unit in enumerate(request.units) if unit.step is None)[:1]
    effect = Mean(metric=name, units=units)
    part = Part(label="all", kind="at_least", value=1.0, effect=effect, scale="level")
    claims = [CompiledClaim(name="giants", text="Giants are long.", metric=name, parts=(part,))]
    claims += [
        CompiledClaim(
            name="plain",
            text="Again.",
            metric=name,
            parts=(Part(label="all", kind="at_least", value=1.0, left=units),),
        )
    ]
    built = build(replace(request, claims=tuple(claims), metrics={name: giant}), root, root / "report" / "r")
    check(built.page)
    assert built.claims == {"giants": "undecided", "plain": "undecided"}
    note = f"nothing to decide it on: no problem has a value ({name})"
    assert built.page.read_text().count(note) == 2
    rows = list(csv.DictReader((built.page.parent / "claims.csv").open()))
    assert [(row["status"], row["note"]) for row in rows] == [("undecided", note)] * 2


def test_a_study_of_which_nothing_is_done_still_gives_a_page(tmp_path):
    root = tmp_path / "results"
    request = make_valley(root, **ONE, is_done=lambda unit: False)
    built = build(request, root, root / "report" / "r")
    check(built.page)
    assert "artifacts are not done" in built.page.read_text()
    assert pl.read_parquet(built.page.parent / "numbers.parquet").is_empty()


def test_a_results_folder_that_is_not_there_gives_a_page_too(tmp_path):
    request = make_valley(tmp_path / "elsewhere", **ONE, is_done=lambda unit: False)
    assert "Nothing has run yet" in build(request, tmp_path / "none", tmp_path / "out").page.read_text()


def test_a_study_without_rl_and_with_one_replicate_says_what_it_leaves_out(tmp_path):
    root = tmp_path / "results"
    request = make_valley(root, with_rl=False, replicates=1, measures=("math500",), models=("qwen2.5-0.5b",))
    text = build(request, root, root / "report" / "r").page.read_text()
    assert "one replicate says nothing about training noise" in text
    assert "Reinforcement learning" not in text and "By rl" not in text and "By sft" in text


def test_responses_titles_and_labels_cannot_write_into_the_page(tmp_path):
    attack = "<script>alert(1)</script><img src=x onerror=alert(1)>\"'</pre>{{ 7*7 }} "
    root = tmp_path / "results"
    request = make_valley(
        root,
        replicates=1,
        models=('a"><script>alert(2)</script>', "b"),
        measures=("math500",),
        text=attack * 30,
        title=attack,
    )
    page = build(request, root, root / "report" / "r").page
    checker = check(page)
    assert not checker.tags & {"script", "img"}
    assert "&lt;script&gt;alert(1)" in page.read_text() and "{{ 7*7 }}" in page.read_text()


def test_the_stage_builds_from_the_results_folder_around_it(full):
    request, root, _ = full
    config = report.Config(request=request.to_plain())
    folder = root / report.NAME / "valley-aaaaaaaaaaaa"
    folder.mkdir(parents=True)
    facts = report.run(Job(key=folder.name, stage="report", config=config, seed=0, inputs={}, folder=folder))
    assert (
        (folder / "report.html").is_file()
        and facts["n_missing"] == 1
        and facts["claims"]["valley"] == "supported"
    )
    assert json.dumps(facts)


@pytest.mark.parametrize(("seconds", "text"), [(4.2, "4.2 s"), (600, "10 min"), (9000, "2.5 h")])
def test_durations_read_naturally(seconds, text):
    assert format_duration(seconds) == text
