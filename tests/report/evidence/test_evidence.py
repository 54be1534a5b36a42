"""From scores on disk to sides: averaging, pooling, metrics, gaps."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from pipeline.errors import InputError
from pipeline.report.evidence.metrics import format_value, parse_metric
from pipeline.report.evidence.results import Store
from pipeline.report.evidence.sides import make_side
from pipeline.request.quantities import Mean, subtract
from pipeline.request.request import GivenMetric, Part, Unit
from pipeline.verdicts.decide import Evidence, decide
from pipeline.verdicts.paired import EmptySideError, estimate_mean
from tests.support.synthetic import put_record


def put(
    root: Path, key: str, correct: list[list[int]], tokens: list[list[int]] | None = None, measures=None
) -> None:
    """Scores of one artifact: correct[problem][sample]."""
    folder = root / "score" / key
    folder.mkdir(parents=True)
    rows = [(f"p{p}", s, bool(value)) for p, samples in enumerate(correct) for s, value in enumerate(samples)]
    lengths = [n for samples in tokens for n in samples] if tokens else [10] * len(rows)
    frame = pl.DataFrame(rows, schema=["problem_id", "sample_index", "correct"], orient="row")
    frame = frame.with_columns(n_tokens=pl.Series(lengths), finish_reason=pl.lit("stop"))
    frame.write_parquet(folder / "scores.parquet")
    put_record(root, "score", key)
    if measures:
        (root / "analyse" / f"a-{key}").mkdir(parents=True)
        frame.select("problem_id", "sample_index").with_columns(**measures).write_parquet(
            root / "analyse" / f"a-{key}" / "measures.parquet"
        )
        put_record(root, "analyse", f"a-{key}")


def unit(key: str, *, replicate: int = 0, policy: str = "base", measure: str = "m", **cell: str) -> Unit:
    return Unit(
        cell=cell,
        replicate=replicate,
        seed=replicate,
        measure=measure,
        policy=policy,
        completions="",
        scores=key,
        analyses={"reflection": f"a-{key}"},
    )


def mean_of(units, name, root) -> float:
    return estimate_mean(make_side(units, parse_metric(name), Store(root), ())).value


def test_accuracy_is_the_mean_over_problems_of_the_mean_over_samples(tmp_path):
    put(tmp_path, "s", [[1, 1, 0, 0], [1, 1, 1, 1], [0, 0, 0, 0]])
    assert mean_of([unit("s")], "accuracy", tmp_path) == pytest.approx(0.5)


def test_pass_at_k_uses_the_unbiased_estimate_per_problem(tmp_path):
    put(tmp_path, "s", [[1, 0, 0, 0], [1, 1, 1, 1]])
    assert mean_of([unit("s")], "pass@2", tmp_path) == pytest.approx((0.5 + 1) / 2)


def test_token_efficiency_is_right_answers_over_tokens(tmp_path):
    put(tmp_path, "s", [[1, 1], [0, 0], [1, 0]], [[100, 200], [300, 400], [250, 250]])
    assert mean_of([unit("s")], "token_efficiency", tmp_path) == pytest.approx(3 / 1500)


def test_replicates_of_one_policy_are_more_samples_of_one_checkpoint(tmp_path):
    put(tmp_path, "s0", [[1], [0]])
    put(tmp_path, "s1", [[0], [0]])
    units = [unit("s0", replicate=0), unit("s1", replicate=1)]
    side = make_side(units, parse_metric("accuracy"), Store(tmp_path), ())
    assert side.replicates == (0,) and side.panels[0].values.tolist() == [[0.5, 0.0]]


def test_a_scores_artifact_shared_by_replicates_counts_once(tmp_path):
    put(tmp_path, "s0", [[1], [0]])
    side = make_side(
        [unit("s0", replicate=r) for r in range(3)], parse_metric("accuracy"), Store(tmp_path), ()
    )
    assert side.panels[0].values.shape == (1, 2)


def test_trained_replicates_stay_apart(tmp_path):
    put(tmp_path, "s0", [[1], [0]])
    put(tmp_path, "s1", [[0], [0]])
    units = [unit("s0", replicate=0, policy="a"), unit("s1", replicate=1, policy="b")]
    side = make_side(units, parse_metric("accuracy"), Store(tmp_path), {"a", "b"})
    assert side.replicates == (0, 1) and side.trained and side.panels[0].values.tolist() == [[1, 0], [0, 0]]


def test_cells_of_one_side_weigh_the_same(tmp_path):
    put(tmp_path, "big", [[1], [1], [1], [1]])
    put(tmp_path, "small", [[0], [0], [0], [0]])
    units = [unit("big", model="a"), unit("small", model="b", policy="other")]
    assert mean_of(units, "accuracy", tmp_path) == pytest.approx(0.5)


def test_problems_without_a_value_are_left_out(tmp_path):
    put(
        tmp_path,
        "s",
        [[1, 1], [1, 0], [0, 0]],
        measures={"words": pl.Series([1.0, 3.0, None, None, 5.0, None])},
    )
    side = make_side([unit("s")], parse_metric("reflection.words"), Store(tmp_path), ())
    assert side.panels[0].problems == ("p0", "p2") and side.panels[0].values.tolist() == [[2.0, 5.0]]


def test_a_column_without_any_value_is_an_empty_side(tmp_path):
    put(tmp_path, "s", [[1], [0]], measures={"words": pl.Series([None, None], dtype=pl.Float64)})
    with pytest.raises(EmptySideError):
        make_side([unit("s")], parse_metric("reflection.words"), Store(tmp_path), ())


def test_yes_or_no_columns_are_shares(tmp_path):
    put(tmp_path, "s", [[1], [0]], measures={"reflects": pl.Series([True, False])})
    assert make_side([unit("s")], parse_metric("reflection.reflects"), Store(tmp_path), ()).bounded


@pytest.mark.parametrize("name", ["acuracy", "pass@0", "reflection."])
def test_unknown_metrics_are_refused(name):
    with pytest.raises(InputError, match="unknown"):
        parse_metric(name)


def test_an_unknown_column_is_refused_with_the_nearest(tmp_path):
    put(tmp_path, "s", [[1], [0]], measures={"reflects": pl.Series([True, False])})
    with pytest.raises(InputError, match=r"reflection\.reflects"):
        make_side([unit("s")], parse_metric("reflection.reflect"), Store(tmp_path), ())


@pytest.mark.parametrize(
    ("value", "unit_name", "signed", "text"),
    [
        (0.4321, "share", False, "43.2 %"),
        (-0.05, "share", True, "−5.0 pp"),
        (1405.2, "tokens", False, "1,405"),
        (0.0012, "efficiency", False, "1.20"),
        (np.inf, "number", False, "∞"),
    ],
)
def test_values_are_written_as_a_reader_wants_them(value, unit_name, signed, text):
    assert format_value(value, unit_name, signed=signed) == text


REFLECTIVE = GivenMetric(statistic="mean", column="tokens", given={"reflection.reflects": True})


def put_reflections(root: Path, key: str, reflective: set[int], problems: int = 30) -> Unit:
    """One response per problem; `reflective` problems are answered with some 900 tokens, others with 300."""
    tokens = [[900 + p if p in reflective else 300 + p] for p in range(problems)]
    reflects = pl.Series([p in reflective for p in range(problems)])
    put(root, key, [[1]] * problems, tokens, {"reflects": reflects})
    return unit(key, policy=key)


def test_a_part_of_the_responses_counts_only_the_problems_that_have_some(tmp_path):
    metric = parse_metric("m", {"m": REFLECTIVE})
    side = make_side([put_reflections(tmp_path, "s", {3, 4})], metric, Store(tmp_path), ())
    estimate = estimate_mean(side)
    half = 12.706 * 0.5  # two values a distance of 1 apart: t with one degree of freedom
    assert estimate.value == pytest.approx(903.5) and estimate.n_problems == 2
    assert estimate.interval() == pytest.approx((903.5 - half, 903.5 + half), abs=0.01)


def test_one_reflective_response_supports_no_claim_about_reflective_ones(tmp_path):
    unit_ = put_reflections(tmp_path, "s", {3})
    other = GivenMetric(statistic="mean", column="tokens", given={"reflection.reflects": False})
    given = {"yes": REFLECTIVE, "no": other}
    yes, no = (make_side([unit_], parse_metric(name, given), Store(tmp_path), ()) for name in given)
    leaves = {name: Mean(metric=name, units=(0,)) for name in given}
    effect = subtract(leaves["yes"], leaves["no"])
    part = Part(label="p", kind="between", effect=effect, value=100.0, high=3000.0)
    verdict = decide(part, Evidence(leaves={leaves["yes"]: yes, leaves["no"]: no}))
    assert verdict.status == "undecided" and "one problem only" in verdict.note


def test_a_replicate_without_such_a_response_is_no_replicate_of_it(tmp_path):
    units = [
        replace(put_reflections(tmp_path, f"s{r}", found), replicate=r)
        for r, found in enumerate([set(), {3, 4, 5}, set()])
    ]
    metric = parse_metric("m", {"m": REFLECTIVE})
    side = make_side(units, metric, Store(tmp_path), {"s0", "s1", "s2"})
    assert side.replicates == (1,) and estimate_mean(side).value == pytest.approx(904)


@pytest.mark.parametrize("statistic", ["mean", "sd"])
def test_equal_values_of_a_part_of_the_responses_decide_nothing(tmp_path, statistic):
    """All cut off at one length: the linearised values differ by rounding alone."""
    rng = np.random.default_rng(0)
    held = [[int(flag) for flag in row] for row in rng.random((40, 3)) < 0.6]
    put(tmp_path, "s", held, [[77 + 300 * (1 - flag) for flag in row] for row in held])
    given = {"m": GivenMetric(statistic=statistic, column="tokens", given={"correct": True})}
    side = make_side([unit("s")], parse_metric("m", given), Store(tmp_path), ())
    leaf = Mean(metric="m", units=(0,))
    part = Part(label="p", kind="at_most", effect=leaf, value=100.0, scale="level")
    verdict = decide(part, Evidence(leaves={leaf: side}))
    assert verdict.status == "undecided" and verdict.effect == pytest.approx({"mean": 77, "sd": 0}[statistic])


@pytest.mark.parametrize("name", ["pass@2", "maj@2"])
def test_too_few_samples_of_a_problem_are_no_value_not_an_error_of_the_whole_report(tmp_path, name):
    put(tmp_path, "s", [[1, 0], [1]])
    with pytest.raises(EmptySideError, match=f"{name} needs at least 2 samples per problem, not 1"):
        mean_of([unit("s")], name, tmp_path)
