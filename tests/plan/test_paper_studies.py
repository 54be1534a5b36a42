"""The four papers as studies: what they count, that every claim of theirs is declared, that their twins do the same."""

from __future__ import annotations

import functools
import json
from pathlib import Path

import pytest

from pipeline.cli.main import main
from pipeline.plan.compiled import StudyPlan, compile_plan
from tests.support import ROOT

PAPERS = ("long_cot_valley", "powered_length_penalty", "open_rs", "dual_phase")

COUNTS = {
    "long_cot_valley": {"base": 9, "sft": 54, "rl": 9},
    # 7 + 7 α of PLP, 4 + 4 of Efficient, GRPO once, PLP on Qwen2.5, each with 3 seeds
    "powered_length_penalty": {"rl": 72},
    "open_rs": {"rl": 5, "mix": 1, "judge": 1},
    "dual_phase": {"sft": 33, "dialogue": 1},
}
CLAIMS = {  # number of checkable claims that FACTS.md lists for each paper
    "long_cot_valley": [f"c0_{i}_" for i in range(1, 12)],
    "powered_length_penalty": [f"c1_{i}_" for i in range(1, 10)],
    "open_rs": [f"c2_{i}_" for i in range(1, 8)],
    "dual_phase": [f"c3_{i}_" for i in range(1, 6)],
}


@functools.cache
def compiled(name: str) -> StudyPlan:
    (study,) = compile_plan([ROOT / "specs" / f"{name}.yaml"], results=Path("results")).studies
    return study


@functools.cache
def count_stages(name: str) -> dict[str, int]:
    plan = compile_plan([ROOT / "specs" / f"{name}.yaml"], results=Path("results"))
    found: dict[str, int] = {}
    for artifact in plan.artifacts.values():
        found[artifact.stage] = found.get(artifact.stage, 0) + 1
    return found


@pytest.mark.parametrize("name", PAPERS)
def test_the_counts_of_a_paper_can_be_read_off_the_plan(name: str, capsys, monkeypatch, tmp_path) -> None:
    monkeypatch.chdir(ROOT)
    assert main(["plan", "--json", "--results", str(tmp_path), f"specs/{name}.yaml"]) == 0
    stages = json.loads(capsys.readouterr().out)["stages"]
    assert {stage: stages[stage]["artifacts"] for stage in COUNTS[name]} == COUNTS[name]


@pytest.mark.parametrize("name", PAPERS)
def test_every_checkable_claim_of_a_paper_is_declared(name: str) -> None:
    declared = [claim.name for claim in compiled(name).claims]
    missing = [prefix for prefix in CLAIMS[name] if not any(claim.startswith(prefix) for claim in declared)]
    assert not missing


@pytest.mark.parametrize("name", PAPERS)
def test_a_twin_runs_the_stages_and_decides_the_claims_of_its_paper(name: str) -> None:
    paper, twin = compiled(name), compiled(f"tiny/{name}")
    assert set(count_stages(f"tiny/{name}")) == set(count_stages(name))
    assert [c.name for c in twin.claims] == [c.name for c in paper.claims]
    for part in ("figures", "tables"):
        ours, theirs = getattr(twin.study.spec, part), getattr(paper.study.spec, part)
        assert set(ours) == set(theirs) and theirs, part
    assert twin.study.spec.published, "the paper's numbers stand beside ours"


def test_powered_length_penalty_has_both_grids_with_three_replicates() -> None:
    study = compiled("powered_length_penalty")
    grids = {model: set() for model in study.study.factors["model"].levels}
    for cell in study.lowered.cells:
        grids[cell.level("model")].add(cell.level("rl"))
    assert len(study.study.spec.replicates.seeds) == 3
    alphas = lambda model, method: {
        float(rl.removeprefix(method)) for rl in grids[model] if rl.startswith(method)
    }
    assert alphas("r1-1.5b", "plp") == {1, 2, 3, 4, 5, 20, 30}
    assert alphas("r1-7b", "plp") == {1, 2, 3, 4, 5, 8, 10}
    for model in ("r1-1.5b", "r1-7b"):
        assert alphas(model, "efficient") == {0.05, 0.1, 0.2, 0.4}
    for name, level in study.study.spec.factors["rl"].items():
        if name.startswith("plp"):
            ((reward, params),) = level["reward"].items()
            assert (reward, params) == ("powered_length_penalty", {"alpha": float(name[3:]), "gamma": 0.5})


def test_the_valley_trains_as_its_table_2_says() -> None:
    table = {"8k": (4, 8), "16k": (4, 16), "32k": (4, 32), "64k": (3, 64), "128k": (3, 128), "220k": (2, 128)}
    plan = compile_plan([ROOT / "specs" / "long_cot_valley.yaml"], results=Path("results"))
    found = {}
    for settled in plan.settled:
        if settled.stage == "sft":
            config = settled.config
            found.setdefault((config.epochs, config.batch_size), config)
            assert (config.learning_rate, config.schedule, config.warmup, config.max_length) == (
                5e-5,
                "cosine",
                0.05,
                16_384,
            )
    assert set(found) == set(table.values())


def test_the_page_about_the_papers_counts_what_is_there() -> None:
    text = (ROOT / "docs" / "papers.md").read_text()
    for name in PAPERS:
        spec = compiled(name).study.spec
        printed = sum(
            sum(value is not None for row in one.rows for value in row["values"]) if one.rows else 1
            for one in spec.published
        )
        (row,) = [line for line in text.splitlines() if f"[{name}]" in line]
        trainings, claims, shown, numbers = [cell.strip() for cell in row.split("|")[3:7]]
        counts = count_stages(name)
        assert all(str(counts[stage]) in trainings for stage in ("sft", "rl") if stage in counts)
        assert (claims, shown, numbers) == (
            str(len(spec.claims)),
            f"{len(spec.figures)}, {len(spec.tables)}",
            str(printed),
        )


def test_a_published_number_says_whose_it_is() -> None:
    for name in (*PAPERS, *(f"tiny/{paper}" for paper in PAPERS)):
        cells: dict[tuple[str, str, str, str], set[tuple[tuple[str, str], ...]]] = {}
        for number in compiled(name).request().published:
            place = (number.source, number.label, number.measure, number.metric)
            cells.setdefault(place, set()).add(tuple(sorted(number.cell.items())))
        assert all(len(found) == 1 for found in cells.values()), name
    labels = {number.label for number in compiled("long_cot_valley").request().published}
    assert {"qwen2.5-7b · sft: none", "qwen2.5-1.5b · 8k", "qwen2.5-14b · 32k"} <= labels
