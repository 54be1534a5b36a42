"""What a plan would cost on a cluster: the papers' studies beside the papers' own figures, and what is not known."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipeline import gpus
from pipeline.cli.main import main
from pipeline.plan.budget import Budget, ClusterOffer, find_budget
from pipeline.plan.budget_text import budget_text
from pipeline.plan.compiled import compile_plan
from tests.support import ROOT


def priced(name: str, gpu: str, results: Path, **offer: float) -> Budget:
    plan = compile_plan([ROOT / "specs" / f"{name}.yaml"], results=results)
    found = {"nodes": 4, "node_gpus": 8, "limit_hours": 48.0, "price": 2.5, **offer}
    return find_budget(plan, ClusterOffer(gpu=gpus.get(gpu), **found))


def of_stage(budget: Budget, stage: str):
    return next(row.gpu_hours for row in budget.stages if row.stage == stage)


@pytest.mark.parametrize(
    ("study", "gpu", "stage", "published"),
    [
        ("long_cot_valley", "H100", "rl", 5_000),  # arXiv 2506.07712
        ("open_rs", "A40", "rl", 5 * 96),  # arXiv 2503.16219: a day on four A40 per experiment
    ],
)
def test_the_papers_own_figures_lie_near_the_interval(
    study: str, gpu: str, stage: str, published: float, tmp_path: Path
) -> None:
    found = of_stage(priced(study, gpu, tmp_path), stage)
    assert found.low / 1.5 < published < found.high * 1.5


def test_unpacked_fine_tuning_of_long_chains_waits_for_the_longest(tmp_path: Path) -> None:
    """The paper spent 2,500 GPU-hours; without packing eight ranks wait for twice the mean (docs/cost.md)."""
    found = of_stage(priced("long_cot_valley", "H100", tmp_path), "sft")
    assert found.high > 2 * 2_500 and 1.5 * 2_500 < found.mid < 3 * 2_500


def test_a_faster_gpu_a_longer_limit_and_more_nodes_do_what_they_should(tmp_path: Path) -> None:
    h100 = priced("long_cot_valley", "H100", tmp_path)
    a100 = priced("long_cot_valley", "A100", tmp_path)
    wide = priced("long_cot_valley", "H100", tmp_path, nodes=16)
    assert a100.total.gpu_hours.mid > 1.5 * h100.total.gpu_hours.mid
    assert wide.makespan_hours[1] < 0.5 * h100.makespan_hours[1]
    assert wide.total.gpu_hours == h100.total.gpu_hours
    assert (
        h100.schedule.chunks
        and not priced("long_cot_valley", "H100", tmp_path, limit_hours=500).schedule.chunks
    )


def test_fourteen_billion_are_tight_on_eight_h100_and_refused_on_a40(tmp_path: Path) -> None:
    (tight,) = priced("long_cot_valley", "H100", tmp_path).memory
    assert "14b" in tight.title and tight.alike == 5 and tight.verdict == "tight"
    assert {one.verdict for one in priced("long_cot_valley", "A40", tmp_path).memory} >= {"refused"}


def test_what_nobody_knows_is_named_and_left_out(tmp_path: Path) -> None:
    budget = priced("dual_phase", "A100", tmp_path)
    (what,) = budget.gaps
    assert what == "the number of rows of its data"
    assert f"not priced: {what} is not known" in budget_text(budget)


def test_a_study_on_the_cpu_asks_for_no_gpu(tmp_path: Path) -> None:
    assert budget_text(priced("demo", "H100", tmp_path)).endswith("nothing that would run asks for a GPU")


def test_plan_compares_sites_and_prints_them_for_machines(tmp_path: Path, monkeypatch, capsys) -> None:
    for gpu, price in (("H100", 2.5), ("A100", 1.5)):
        (tmp_path / f"{gpu}.yaml").write_text(
            f"cluster: {{gpu: {gpu}, nodes: 2, price_per_gpu_hour: {price}}}\n"
        )
    monkeypatch.chdir(ROOT)
    words = [
        "plan",
        "specs/open_rs.yaml",
        "--site",
        str(tmp_path / "H100.yaml"),
        "--site",
        str(tmp_path / "A100.yaml"),
    ]
    assert main([*words, "--results", str(tmp_path / "results")]) == 0
    shown = capsys.readouterr().out
    assert "budget on 2 nodes × 8 × H100-80GB, 48 h limit, $2.50" in shown and "A100-80GB" in shown
    assert main([*words, "--json", "--results", str(tmp_path / "results")]) == 0
    first, second = json.loads(capsys.readouterr().out)["budgets"]
    assert (
        first["total"]["gpu_hours"]["low"]
        < first["total"]["gpu_hours"]["mid"]
        < second["total"]["gpu_hours"]["mid"]
    )
    assert first["total"]["price"]["mid"] == pytest.approx(2.5 * first["total"]["gpu_hours"]["mid"])


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        ("results: results\n", 6, "does not say what its cluster offers"),
        ("cluster: {gpu: H10}\n", 4, "no file describes the GPU 'H10'"),
        ("cluster: [1]\n", 2, "it should be a mapping"),
        ("cluster: {gpu: H100, node: 3}\n", 2, "unknown key 'node'"),
        ("3\n", 2, "a site file is a mapping"),
    ],
)
def test_a_site_that_cannot_be_priced_is_a_message(
    text: str, code: int, said: str, tmp_path: Path, monkeypatch, capsys
) -> None:
    (tmp_path / "site.yaml").write_text(text)
    monkeypatch.chdir(ROOT)
    assert main(["plan", "specs/demo.yaml", "--site", str(tmp_path / "site.yaml")]) == code
    assert said in capsys.readouterr().err


def test_the_clusters_own_profile_can_be_read(tmp_path: Path) -> None:
    from pipeline.site import read_site_file

    assert read_site_file(ROOT / "profiles" / "slurm" / "site.yaml").local_stages == ["checkpoint", "report"]
