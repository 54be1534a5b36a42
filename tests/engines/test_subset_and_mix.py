"""Nested subsets and mixtures: properties first."""

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from pipeline import stages
from pipeline.engines.rows import parquet as row_parquet
from pipeline.engines.rows.store import first_by_key
from pipeline.errors import InputError
from pipeline.stages.mix import MixConfig
from pipeline.stages.subset import SubsetConfig

IDS = st.lists(st.text(min_size=1, max_size=8), unique=True, min_size=1, max_size=40)


def frame_of(names, **columns):
    return pl.DataFrame({"id": names, "problem": [f"p {n}" for n in names], **columns})


@settings(deadline=None)
@given(ids=IDS, seed=st.integers(0, 2**31), data=st.data())
def test_smaller_subset_is_a_prefix_of_the_larger(ids, seed, data):
    large = data.draw(st.integers(1, len(ids)))
    small = data.draw(st.integers(1, large))
    series = pl.Series("id", ids)
    assert (
        first_by_key(series, seed, small)["id"].to_list()
        == first_by_key(series, seed, large)["id"].to_list()[:small]
    )


@settings(deadline=None)
@given(ids=IDS, seed=st.integers(0, 2**31), data=st.data())
def test_subset_does_not_depend_on_the_order_of_the_file(ids, seed, data):
    shuffled = data.draw(st.permutations(ids))
    rows = data.draw(st.integers(1, len(ids)))
    assert first_by_key(pl.Series(ids), seed, rows).equals(first_by_key(pl.Series(shuffled), seed, rows))


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000))
def test_other_seeds_give_other_orders(seed):
    ids = pl.Series([str(i) for i in range(100)])
    assert not first_by_key(ids, seed, 100).equals(first_by_key(ids, seed + 1, 100))


def test_order_of_a_seed_never_changes():
    ids = pl.Series(["a", "b", "c", "d", "e"])
    assert first_by_key(ids, 0, 5)["id"].to_list() == ["e", "c", "b", "a", "d"]


def test_subset_writes_the_rows_in_the_seeded_order(make_rows, run_stage):
    folder = make_rows(frame_of([f"r{i}" for i in range(100)], n=list(range(100))))
    rows, facts = run_stage("subset", SubsetConfig(rows=30, seed=5), rows=folder)
    more, _ = run_stage("subset", SubsetConfig(rows=100, seed=5), rows=folder)
    assert facts == {"rows_in": 100, "rows_out": 30}
    assert more.head(30).equals(rows) and sorted(more["n"]) == list(range(100))
    assert more["n"].to_list() != list(range(100))


def test_reordering_in_several_buckets_gives_the_same_rows(make_rows, run_stage, monkeypatch):
    folder = make_rows(frame_of([f"r{i}" for i in range(500)]))
    whole, _ = run_stage("subset", SubsetConfig(rows=400), rows=folder)
    monkeypatch.setattr(row_parquet, "BUCKET_BYTES", 1000)
    parts, _ = run_stage("subset", SubsetConfig(rows=400), rows=folder)
    assert parts.equals(whole)


def test_what_a_killed_attempt_wrote_does_not_stay(make_rows, make_job):
    job = make_job("subset", SubsetConfig(rows=2), rows=make_rows(frame_of(["a", "b", "c"])))
    (job.folder / ".rows.parquet-1").write_bytes(b"half of the rows")
    stages.load("subset").run(job)
    assert [path.name for path in job.folder.iterdir() if path.is_file()] == ["rows.parquet"]


def test_subset_of_more_rows_than_there_are_is_refused_with_both_numbers(make_rows, run_stage):
    folder = make_rows(frame_of(["a", "b"]))
    with pytest.raises(InputError, match="a subset of 3 rows was asked of a data set that has 2") as caught:
        run_stage("subset", SubsetConfig(rows=3), rows=folder)
    assert "at most 2" in caught.value.remedy


def test_mixture_takes_its_quotas_and_says_where_rows_came_from(make_rows, run_stage):
    parts = tuple(make_rows(frame_of([f"{name}{i}" for i in range(20)])) for name in "abc")
    rows, facts = run_stage("mix", MixConfig(quotas=(3, None, 5)), rows=parts)
    assert facts == {"rows_in": [20, 20, 20], "rows_out": 28, "rows_of_parts": [3, 20, 5]}
    assert rows.group_by("part").len().sort("part")["len"].to_list() == [3, 20, 5]
    assert all(name.startswith("abc"[part]) for name, part in rows.select("id", "part").iter_rows())
    assert rows["part"].to_list() != sorted(rows["part"])


def test_a_part_of_which_few_rows_are_taken_is_spread_over_the_mixture(make_rows, run_stage):
    many, few = ([f"{name}{i}" for i in range(size)] for name, size in (("a", 4000), ("b", 300)))
    rows, _ = run_stage(
        "mix", MixConfig(quotas=(100, None)), rows=(make_rows(frame_of(many)), make_rows(frame_of(few)))
    )
    for start in range(0, 400, 100):
        assert 10 <= (rows["part"][start : start + 100] == 0).sum() <= 40


def test_mixture_without_shuffle_keeps_the_parts_in_order(make_rows, run_stage):
    parts = (make_rows(frame_of(["a", "b"])), make_rows(frame_of(["c", "d"])))
    rows, _ = run_stage("mix", MixConfig(quotas=(None, None), shuffle=False), rows=parts)
    assert rows["id"].to_list() == ["a", "b", "c", "d"]


def test_a_larger_quota_holds_the_rows_of_a_smaller(make_rows, run_stage):
    folders = make_rows(frame_of([f"r{i}" for i in range(50)])), make_rows(frame_of(["x"]))
    small, _ = run_stage("mix", MixConfig(quotas=(10, 1), seed=4), rows=folders)
    large, _ = run_stage("mix", MixConfig(quotas=(20, 1), seed=4), rows=folders)
    assert set(small["id"]) < set(large["id"])


def test_parts_of_one_source_give_rows_that_have_nothing_to_do_with_each_other(make_rows, run_stage):
    source = make_rows(frame_of([f"r{i}" for i in range(4000)]))
    rows, _ = run_stage("mix", MixConfig(quotas=(400, 400)), rows=(source, source))
    assert 20 <= rows["id"].str.ends_with("@1").sum() <= 60, "40 rows are expected twice, not 400"


def test_same_id_in_two_parts_is_kept_twice_under_two_names(make_rows, run_stage):
    parts = (
        make_rows(frame_of(["a", "b"], solution=["1", "2"])),
        make_rows(frame_of(["b", "c"], level=[7, 8])),
    )
    rows, _ = run_stage("mix", MixConfig(quotas=(None, None)), rows=parts)
    assert sorted(rows["id"]) == ["a", "b", "b@1", "c"]
    assert rows.filter(pl.col("id") == "b@1").row(0, named=True) | {"problem": ""} == {
        "id": "b@1",
        "problem": "",
        "solution": None,
        "level": 7,
        "part": 1,
    }


@pytest.mark.parametrize("shuffle", [True, False])
def test_ids_are_unique_in_mixtures_of_mixtures(make_rows, run_stage, shuffle):
    mixed = make_rows(frame_of(["a", "b", "b@1"], part=[0, 0, 1]))
    parts = (mixed, make_rows(frame_of(["b", "c"])), make_rows(frame_of(["b@1", "b@1@1"])))
    rows, _ = run_stage("mix", MixConfig(quotas=(None,) * 3, shuffle=shuffle), rows=parts)
    assert sorted(rows["id"]) == ["a", "b", "b@1", "b@1@1", "b@1@1@1", "b@1@2", "c"]
    came = {name: (problem, part) for name, problem, part in rows.select("id", "problem", "part").iter_rows()}
    assert came["b@1@1@1"] == ("p b", 1) and came["b@1@2"] == ("p b@1", 2) and came["b@1"] == ("p b@1", 0)


@pytest.mark.parametrize(
    ("one", "other", "types"),
    [
        (["x"], "y", r"List\(String\) .* String"),
        ({"a": 1}, "y", r"Struct\(.*\) .* String"),
        ({"a": [1]}, {"a": 1}, r"Struct\(.*\) .* Struct"),
        ([["x"]], ["y"], r"List\(List\(String\)\) .* List\(String\)"),
    ],
)
def test_columns_that_do_not_go_together_are_refused_with_parts_and_column(
    make_rows, run_stage, one, other, types
):
    parts = (make_rows(frame_of(["a"], tags=[one])), make_rows(frame_of(["b"], tags=[other])))
    with pytest.raises(InputError, match=f"column 'tags' holds {types}") as caught:
        run_stage("mix", MixConfig(quotas=(None, None)), rows=parts)
    assert "part 0 of the mixture (rows-0)" in caught.value.what
    assert "part 1 of the mixture (rows-1)" in caught.value.what


def test_columns_that_go_together_are_widened(make_rows, run_stage):
    one = frame_of(["a"], level=[1], meta=[{"x": 1}], none=[None], traces=[[]])
    other = frame_of(["b"], level=["Level 1"], meta=[{"y": "z"}], none=[["n"]], traces=[["t"]])
    rows, _ = run_stage(
        "mix", MixConfig(quotas=(None, None), shuffle=False), rows=(make_rows(one), make_rows(other))
    )
    assert rows["level"].to_list() == ["1", "Level 1"]
    assert rows["meta"].to_list() == [{"x": 1, "y": None}, {"x": None, "y": "z"}]
    assert rows["none"].to_list() == [None, ["n"]] and rows["traces"].to_list() == [[], ["t"]]


def test_weights_are_apportioned_to_the_total():
    assert MixConfig(weights=(3.0, 3.0, 1.0), rows=7_000).quotas_of((9_999,) * 3, "abc") == (
        3_000,
        3_000,
        1_000,
    )
    assert MixConfig(weights=(1.0, 1.0, 1.0), rows=10).quotas_of((9,) * 3, "abc") == (4, 3, 3)


def test_quota_that_a_part_cannot_fill_is_refused(make_rows, run_stage):
    parts = (make_rows(frame_of(["a", "b"])), make_rows(frame_of(["c"])))
    with pytest.raises(InputError, match=r"part 1 of the mixture \(rows-1\) should give 2 rows and has 1"):
        run_stage("mix", MixConfig(quotas=(1, 2)), rows=parts)
    with pytest.raises(InputError, match="names 1 parts, but 2 inputs"):
        run_stage("mix", MixConfig(quotas=(1,)), rows=parts)


def test_mixture_needs_quotas_or_weights():
    for wrong in ({}, {"quotas": (1,), "weights": (1.0,), "rows": 1}, {"weights": (1.0,)}, {"quotas": (0,)}):
        with pytest.raises(ValidationError):
            MixConfig(**wrong)
