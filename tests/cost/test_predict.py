"""`predict`: published runs without calibration, directions that must hold, and settings that cannot be."""

from __future__ import annotations

import math
import statistics

import pytest

from bench.published_runs import RUNS
from pipeline.cost.predict import predict
from pipeline.errors import InputError, StudyError

SFT = {"model": "qwen2.5-7b", "rows": 8_000, "tokens_per_row": 5_600, "gpus": 8, "gpu": "H100", "batch": 8}
RL = {
    "model": "qwen2.5-1.5b",
    "steps": 100,
    "prompts": 128,
    "rollouts": 8,
    "cut": 8_192,
    "gpus": 8,
    "gpu": "H100",
}


def test_published_runs_are_met_as_promised() -> None:
    folds, widths, held = [], [], 0
    for run in RUNS:
        found = predict(run.kind, run.settings)
        folds.append(max(found.mid / run.published, run.published / found.mid))
        widths.append(math.log(found.fold))
        held += found.low <= run.published <= found.high
    folds.sort()
    assert statistics.median(folds) <= 1.41
    assert folds[math.ceil(0.8 * len(folds)) - 1] <= 1.9
    assert sum(fold > 3 for fold in folds) <= len(folds) / 15
    assert held / len(folds) >= 0.75
    assert math.exp(statistics.fmean(widths)) <= 2.2


@pytest.mark.parametrize(
    ("kind", "settings", "change"),
    [
        ("sft", SFT, {"rows": 16_000}),
        ("sft", SFT, {"model": "qwen2.5-14b"}),
        ("sft", SFT, {"epochs": 2}),
        ("sft", SFT, {"gpu": "A100"}),
        ("rl", RL, {"steps": 200}),
        ("rl", RL, {"rollouts": 16}),
        ("rl", RL, {"model": "qwen2.5-7b"}),
        ("rl", RL, {"mean_response": 6_000}),
        ("rl", {**RL, "padding": "packed"}, {"padding": "round"}),
    ],
)
def test_more_work_costs_more(kind: str, settings: dict, change: dict) -> None:
    assert predict(kind, {**settings, **change}).mid > predict(kind, settings).mid


def test_packing_saves_the_wait_for_the_longest() -> None:
    assert predict("sft", {**SFT, "packed": True}).mid < 0.75 * predict("sft", SFT).mid


def test_a_rollout_that_its_tail_decides_is_not_faster_on_more_devices() -> None:
    few = predict("rl", {**RL, "unit": "seconds_per_step", "gpus": 64})
    many = predict("rl", {**RL, "unit": "seconds_per_step", "gpus": 128})
    assert many.mid > 0.8 * few.mid


def test_runs_under_runs_are_added_with_their_shared_errors() -> None:
    both = predict("sft", {**SFT, "runs": [{}, {}]})
    one = predict("sft", SFT)
    assert both.mid == pytest.approx(2 * one.mid) and both.fold == pytest.approx(one.fold)


def test_a_site_gives_what_settings_leave_out() -> None:
    settings = {key: value for key, value in SFT.items() if key != "gpu"}
    assert predict("sft", settings, {"gpu": "H100"}) == predict("sft", SFT)


@pytest.mark.parametrize(
    ("settings", "what", "remedy"),
    [
        ({**SFT, "rowz": 3}, "unknown setting 'rowz'", "rows"),
        ({**SFT, "gpu": "H1000"}, "no file describes the GPU 'H1000'", "h100"),
        ({**SFT, "model": "acme/Nobody"}, "the size of 'acme/Nobody' is not known", "number of parameters"),
        ({key: value for key, value in SFT.items() if key != "gpus"}, "lack 'gpus'", "docs/cost.md"),
        ({key: value for key, value in SFT.items() if key != "rows"}, "lack 'rows'", "trained"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings: dict, what: str, remedy: str) -> None:
    with pytest.raises(StudyError) as refused:
        predict("sft", settings)
    assert what in refused.value.what and remedy in refused.value.remedy


def test_a_kind_without_a_model_is_refused() -> None:
    with pytest.raises(InputError, match="no cost model for 'dpo'"):
        predict("dpo", SFT)
