"""From scores on disk to sides: averaging, pooling, metrics, gaps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from synthetic import put_record

from pipeline.errors import InputError
from pipeline.report.artifacts import Store
from pipeline.report.evidence import make_side
from pipeline.report.metrics import format_value, parse_metric
from pipeline.report.request import Unit
from pipeline.stats import EmptySideError, estimate_mean


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
