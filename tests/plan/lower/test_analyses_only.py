"""`only`: the cells and checkpoints whose responses an analysis reads."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.errors import SpecErrors
from pipeline.plan.compiled import Plan
from pipeline.request.request import Unit
from tests.support.studies import BASIC, compile_text


def with_only(selectors: str, *edits: tuple[str, str]) -> str:
    text = BASIC.replace("[reflection_keywords]", f"[layout, {{reflection_keywords: {{only: {selectors}}}}}]")
    for old, new in edits:
        assert old in text, old
        text = text.replace(old, new, 1)
    return text


def units_with(plan: Plan, analysis: str) -> Iterator[Unit]:
    return (unit for study in plan.studies for unit in study.request().units if analysis in unit.analyses)


@pytest.mark.parametrize(
    ("selectors", "is_taken"),
    [
        ("[{rl: none}]", lambda u: u.cell["rl"] == "none"),
        ('[{sft: "64"}, {rl: plp}]', lambda u: u.cell["sft"] == "64" or u.cell["rl"] == "plp"),
        ("[{step: 2}]", lambda u: u.step == 2),
        ("[{rl: acc}]", lambda u: u.cell["rl"] == "acc"),
        ("[{rl: [none, acc], sft: '32'}]", lambda u: u.cell["sft"] == "32" and u.cell["rl"] != "plp"),
    ],
)
def test_only_the_chosen_cells_and_checkpoints_are_analysed(selectors, is_taken, tmp_path: Path) -> None:
    plan = compile_text(with_only(selectors), tmp_path)
    everywhere = list(units_with(plan, "layout"))
    assert list(units_with(plan, "reflection_keywords")) == [u for u in everywhere if is_taken(u)]
    assert 0 < sum(map(is_taken, everywhere)) < len(everywhere)


def test_a_judge_is_not_asked_about_other_cells(tmp_path: Path) -> None:
    text = BASIC.replace(
        "analyses: [reflection_keywords]",
        "judges: {gpt: {judge: reflection, engine: openai, model: m, url: https://h/v1}}\n"
        "analyses: [{reflection: {judge: gpt, only: [{rl: none}]}}]",
    )
    counts = compile_text(text, tmp_path).counts()
    assert counts["judge"]["artifacts"] == counts["analyse"]["artifacts"] == 6


def errors_of(text: str, folder: Path) -> str:
    with pytest.raises(SpecErrors) as caught:
        compile_text(text, folder)
    return str(caught.value).replace(f"{folder}/", "")


def test_a_claim_about_a_cell_that_is_left_out_is_refused(tmp_path: Path) -> None:
    claim = (
        "claims:\n",
        "claims:\n  repaired: {metric: reflection_keywords.reflects, of: {rl: acc}, at_most: 0.1}\n",
    )
    assert errors_of(with_only("[{rl: none}]", claim), tmp_path) == (
        "study.yaml:38:56: metric 'reflection_keywords.reflects' is not measured at model=tiny sft=32 rl=acc\n"
        "    Name cells where it is, or widen the `only` of its analysis."
    )
    compile_text(with_only("[{rl: none}, {rl: acc}]", claim), tmp_path)


@pytest.mark.parametrize(
    ("selectors", "message"),
    [
        ("[{rll: none}]", "factor 'rll' is unknown\n    Did you mean 'rl'?"),
        ("[{rl: nine}]", "factor 'rl' has no level 'nine'\n    Did you mean 'none'?"),
        ("{rl: none}", "Write a list of selectors, [{rl: none}, …]."),
        ("[]", "Write a list of selectors, [{rl: none}, …]."),
        ("[none]", "Write a list of selectors, [{rl: none}, …]."),
    ],
)
def test_selectors_that_choose_nothing_known_are_refused(
    selectors: str, message: str, tmp_path: Path
) -> None:
    assert message in errors_of(with_only(selectors), tmp_path)


@pytest.mark.parametrize(
    "shown",
    [
        "claims:\n  shown: {metric: METRIC, of: {rl: acc}, measure: second, at_most: 0.1}\n",
        "figures:\n  shown: {x: sft, lines: [model, rl], measure: [heldout, second], y: METRIC}\nclaims:\n",
        "figures:\n  shown: {x: METRIC, measure: second}\nclaims:\n",
        "tables:\n  shown: {rows: [model, sft, rl], columns: [second METRIC]}\nclaims:\n",
        "published:\n  - {cell: {sft: none, rl: none}, measure: second, metric: METRIC, value: 1, source: x}\nclaims:\n",
    ],
)
def test_what_is_analysed_on_other_measures_alone_is_shown_nowhere_empty(shown: str, tmp_path: Path) -> None:
    text = BASIC.replace("  heldout:\nanal", "  heldout:\n  second: {data: heldout}\nanal")
    text = text.replace("claims:\n", shown.replace("METRIC", "reflection_keywords.reflects"))
    compile_text(text, tmp_path)
    only = text.replace("[reflection_keywords]", "[{reflection_keywords: {measures: heldout}}]")
    message = errors_of(only, tmp_path)
    assert "metric 'reflection_keywords.reflects' is not measured on second\n" in message
    assert (
        "Name the measure: heldout." if "[heldout" in shown else "Add the measure to the analysis."
    ) in message


METRIC = "reflection_keywords.reflects"


@pytest.mark.parametrize(
    "shown",
    [
        "figures:\n  shown: {x: sft, lines: [model, rl], y: METRIC}\nclaims:\n",
        "figures:\n  shown: {x: METRIC}\nclaims:\n",
        "tables:\n  shown: {rows: [model, sft, rl], columns: [METRIC]}\nclaims:\n",
        "published:\n  - {cell: {sft: none, rl: none}, metric: METRIC, value: 1, source: x}\nclaims:\n",
    ],
)
def test_a_mean_over_all_measures_needs_the_analysis_on_all(shown: str, tmp_path: Path) -> None:
    text = BASIC.replace("  heldout:\nanal", "  heldout:\n  second: {data: heldout}\nanal")
    text = text.replace("[reflection_keywords]", "[{reflection_keywords: {measures: heldout}}]")
    message = errors_of(text.replace("claims:\n", shown.replace("METRIC", METRIC)), tmp_path)
    assert f"metric {METRIC!r} is not measured on second\n    Name the measure: heldout." in message


def test_panels_of_measures_show_those_that_are_analysed(tmp_path: Path) -> None:
    text = BASIC.replace("  heldout:\nanal", "  heldout:\n  second: {data: heldout}\nanal")
    text = text.replace("[reflection_keywords]", "[{reflection_keywords: {measures: heldout}}]")
    shown = f"figures:\n  shown: {{x: sft, lines: [model, rl], panels: measure, y: {METRIC}}}\nclaims:\n"
    compile_text(text.replace("claims:\n", shown), tmp_path)


FIGURE = "figures:\n  shown: {x: sft, where: {rl: acc}, y: METRIC}\n"
TABLE = "tables:\n  shown: {rows: [sft], where: {rl: acc}, columns: [METRIC]}\n"
PARTLY = "{mean: tokens, given: {reflection_keywords.reflects: true}}"


@pytest.mark.parametrize(
    ("shown", "metric"),
    [(FIGURE, METRIC), (FIGURE, PARTLY), (FIGURE, "accuracy"), (TABLE, METRIC), (TABLE, "accuracy")],
)
def test_what_no_shown_cell_has_is_refused(shown: str, metric: str, tmp_path: Path) -> None:
    text = with_only("[{rl: none}]").partition("claims:\n")[0]
    if metric == "accuracy":
        text = text.replace(
            "  heldout:\nanal", "  heldout:\n  second: {data: heldout, only: [{rl: none}]}\nanal"
        )
    shown = shown.replace("METRIC", metric)
    message = errors_of(text + shown, tmp_path)
    assert "'shown': no cell of it has" in message and "widen an `only`." in message
    compile_text(text + shown.replace("acc}", "none}"), tmp_path)


def test_a_claim_about_a_part_of_responses_is_refused_where_its_condition_is_not_read(tmp_path: Path) -> None:
    claim = f"claims:\n  repaired: {{metric: {PARTLY}, of: {{rl: acc}}, at_most: 9}}\n"
    text = with_only("[{rl: none}]", ("claims:\n", claim))
    assert "metric 'mean tokens where reflects' is not measured at model=tiny" in errors_of(text, tmp_path)


def test_conditions_of_one_name_from_two_analyses_are_two_metrics(tmp_path: Path) -> None:
    both = (
        "{metric: {mean: tokens, given: {reflection_keywords.reflects: true}}}",
        ("{metric: {mean: tokens, given: {reflection.reflects: true}}}"),
    )
    text = BASIC.replace(
        "analyses: [reflection_keywords]",
        "judges: {gpt: {judge: reflection, engine: openai, model: m, url: https://h/v1}}\n"
        "analyses: [reflection_keywords, {reflection: {judge: gpt}}]",
    ).replace(
        "claims:\n", f"claims:\n  two: {{of: {both[0]}, minus: {both[1]}, where: {{rl: none}}, at_most: 9}}\n"
    )
    given = compile_text(text, tmp_path).studies[0].request().metrics
    assert [set(metric.given) for metric in given.values()] == [
        {"reflection_keywords.reflects"},
        {"reflection.reflects"},
    ]
