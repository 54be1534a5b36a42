"""The filter stage: order, counts, the filter that leaves nothing, a killed attempt."""

import polars as pl
import pytest

from pipeline import filters
from pipeline.engines.filter import run
from pipeline.errors import InputError, StageError, StudyError
from pipeline.stages.filter import FilterConfig

FRAME = pl.DataFrame({
    "id": [f"r{i}" for i in range(3000)],
    "problem": [f"p{i // 2}" for i in range(3000)],
    "level": [i % 5 for i in range(3000)],
})  # fmt: skip


def test_filters_apply_in_order_and_each_is_counted(run_filters):
    rows, facts = run_filters(FRAME, {"where": {"column": "level", "at_least": 2}}, "deduplicate")
    assert (facts["rows_in"], facts["rows_out"]) == (3000, len(rows))
    assert [(f["filter"], f["rows_in"]) for f in facts["filters"]] == [("where", 3000), ("deduplicate", 1800)]
    assert facts["filters"][1]["rows_out"] == len(rows)
    assert all(f["rows_in"] - f["rows_out"] == sum(f["dropped"].values()) for f in facts["filters"])
    assert all(len(ids) <= 5 for f in facts["filters"] for ids in f["dropped_examples"].values())


def test_rows_keep_their_order(run_filters):
    rows, _ = run_filters(FRAME, {"where": {"column": "level", "one_of": [0, 3]}}, {"sample_share": 0.5})
    places = rows["id"].str.slice(1).cast(pl.Int64)
    assert places.is_sorted() and len(rows) > 400


def test_swapping_filters_changes_the_result(run_filters):
    level = {"where": {"column": "level", "equals": 1}}
    one, _ = run_filters(FRAME, level, "deduplicate")
    other, _ = run_filters(FRAME, "deduplicate", level)
    assert len(one) > len(other)


def test_filter_that_leaves_nothing_is_named_with_the_counts_so_far(run_filters):
    with pytest.raises(StageError) as caught:
        run_filters(FRAME, "deduplicate", {"where": {"column": "level", "equals": 7}}, {"max_chars": 3})
    assert caught.value.what == "filter where leaves nothing of 1500 rows (1500 × level is another value)"
    assert caught.value.remedy == "Loosen it. Rows so far: 3000 → deduplicate 1500 → where 0."


def test_finished_judgements_of_a_killed_attempt_are_used_again(make_filter_job, monkeypatch):
    job = make_filter_job(FRAME, "deduplicate", {"where": {"column": "level", "equals": 1}})
    first = run(job)
    rows = pl.read_parquet(job.folder / "rows.parquet")
    (job.folder / "rows.parquet").unlink()
    calls = []
    real = filters.get("deduplicate").judge
    monkeypatch.setattr(filters.get("deduplicate"), "judge", lambda *a: calls.append(1) or real(*a))
    assert run(job) == first and not calls
    assert pl.read_parquet(job.folder / "rows.parquet").equals(rows)


def test_the_size_of_batches_changes_nothing(run_filters):
    one, _ = run_filters(FRAME, "near_duplicates", "deduplicate", batch_rows=3)
    other, _ = run_filters(FRAME, "near_duplicates", "deduplicate", batch_rows=4000)
    assert one.equals(other)


def test_unknown_filter_and_parameter_are_refused():
    with pytest.raises(StudyError, match="max_token") as caught:
        FilterConfig.model_validate({"filters": ({"name": "max_token"},)})
    assert "Did you mean 'max_tokens'?" in caught.value.remedy
    with pytest.raises(ValueError, match="char"):
        FilterConfig.model_validate({"filters": ({"name": "max_chars", "params": {"char": 3}},)})


def test_parameters_at_their_default_are_no_part_of_the_identity():
    def identity(**params):
        config = {"filters": ({"name": "max_chars", "params": {"chars": 9, **params}},)}
        return FilterConfig.model_validate(config).identity()

    assert identity() == identity(column="solution") != identity(column="problem")


def test_configuration_survives_the_plan_file():
    config = FilterConfig.model_validate(
        {"filters": ({"name": "decontaminate", "params": {"against": ("aime24",)}},), "seed": 3}
    )
    assert FilterConfig.model_validate_json(config.model_dump_json()) == config


def test_rows_that_are_no_parquet_are_refused(make_filter_job):
    job = make_filter_job(FRAME, "deduplicate")
    (job.one("rows") / "rows.parquet").write_text("x")
    with pytest.raises(InputError, match="cannot be read as Parquet"):
        run(job)
