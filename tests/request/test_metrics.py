"""The vocabulary of metrics: names parsed once, kept as they are written, read back as they were."""

from __future__ import annotations

import re

import pytest
from pydantic import TypeAdapter

from pipeline.request.logged import LOGGED
from pipeline.request.metrics import (
    ACCURACY,
    AnalysisMean,
    AnyMetric,
    Column,
    Condition,
    Conditional,
    Count,
    Logged,
    Metric,
    OfSamples,
    RewardValue,
    TokenEfficiency,
    parse_column,
    parse_metric,
)

PARSED = {
    "accuracy": ACCURACY,
    "token_efficiency": TokenEfficiency(),
    "pass@8": OfSamples(statistic="pass", k=8, name="pass@8"),
    "maj@64": OfSamples(statistic="maj", k=64, name="maj@64"),
    "reflection.reflects": AnalysisMean(column=Column(name="reflects", analysis="reflection")),
    "training.kl": Logged(column="kl"),
    "data.long_cot.dropped.too_long": Count(data="long_cot", fact="dropped.too_long"),
}
RARE = Conditional(
    name="sd cosine where tokens 300–600",
    statistic="sd",
    column=RewardValue(reward="cosine", params={"max_len": 9}),
    conditions=(Condition(column=Column(name="tokens"), wanted=(300.0, 600.0)),),
)


@pytest.mark.parametrize("name", PARSED)
def test_a_name_is_parsed_into_what_it_says_and_keeps_its_spelling(name: str) -> None:
    assert parse_metric(name) == PARSED[name] and PARSED[name].name == name


@pytest.mark.parametrize(
    "name",
    ["acuracy", "pass@0", "pass@x", "maj@", "pass@²", "training.speed", "data", "data.long", "data.long.", "a.", ".a", ""],
)  # fmt: skip
def test_what_spells_no_metric_is_none(name: str) -> None:
    assert parse_metric(name) is None


def test_a_number_of_samples_written_with_zeros_keeps_its_name_and_is_a_number() -> None:
    metric = parse_metric("pass@08")
    assert isinstance(metric, OfSamples) and (metric.k, metric.name) == (8, "pass@08")


@pytest.mark.parametrize("metric", [*PARSED.values(), RARE], ids=lambda metric: metric.name)
def test_a_metric_survives_json_and_may_be_a_key(metric: AnyMetric) -> None:
    adapter: TypeAdapter[AnyMetric] = TypeAdapter(Metric)
    again = adapter.validate_json(adapter.dump_json(metric))
    assert again == metric and {metric: 1}[again] == 1


def test_a_column_that_turns_out_to_hold_yes_and_no_is_the_same_metric() -> None:
    column = Column(name="reflects", analysis="reflection")
    assert AnalysisMean(column=column, unit="share") == AnalysisMean(column=column)


def test_a_metric_over_a_part_of_the_responses_needs_the_analyses_of_its_conditions() -> None:
    reflects = Condition(column=parse_column("reflection.reflects"), wanted=True)
    metric = Conditional(name="m", statistic="mean", column=Column(name="tokens"), conditions=(reflects,))
    assert metric.needs == ("reflection",) and metric.unit == "tokens"
    assert RARE.needs == () and RARE.unit == "number"


def test_a_column_of_no_analysis_is_spelled_as_it_is_written() -> None:
    assert parse_column(".tokens") == Column(name=".tokens")


def test_the_names_under_which_trainers_log_belong_to_one_quantity_each() -> None:
    names = [
        "reward",
        "rewards/accuracy_reward/mean",
        "completions/mean_length",
        "kl",
        "loss",
        "mean_token_accuracy",
    ]
    found = [[c for c, logged in LOGGED.items() if re.fullmatch(logged.logged_as, name)] for name in names]
    assert found == [["reward"], ["accuracy_reward"], ["tokens"], ["kl"], ["loss"], ["token_accuracy"]]
