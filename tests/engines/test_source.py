"""The source stage: files of every format, folders in the hub's layout, generators, and their faults."""

import json

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from pipeline.datasets import FieldMap, HubSource, SyntheticSource
from pipeline.errors import InputError, RefusedError
from pipeline.stages.source import FileSource, SourceConfig, digest_path, from_catalogue

ROWS = [{"problem": f"What is {i}+1?", "answer": str(i + 1), "level": i % 3} for i in range(600)]


def source_of(path, digest=None, **options):
    return SourceConfig(file=FileSource(digest=digest or digest_path(path), path=str(path)), **options)


def write_jsonl(path, rows=ROWS):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture
def snapshot(tmp_path):
    """A folder as the hub serves it: two configurations, one of them in two files."""
    folder = tmp_path / "snapshot"
    for name in ("data", "extended"):
        (folder / name).mkdir(parents=True)
    frame = pl.DataFrame(ROWS)
    frame.head(400).write_parquet(folder / "data/train-00000-of-00002.parquet")
    frame.tail(200).write_parquet(folder / "data/train-00001-of-00002.parquet")
    frame.head(7).write_parquet(folder / "extended/train-00000-of-00001.parquet")
    configs = "".join(
        f"- config_name: {name}\n  data_files:\n  - split: train\n    path: {place}/train-*\n"
        for name, place in (("default", "data"), ("extended", "extended"))
    )
    (folder / "README.md").write_text(f"---\nlicense: mit\nconfigs:\n{configs}---\n# A data set\n")
    return folder


def test_every_format_gives_the_same_rows(tmp_path, run_stage, snapshot):
    (tmp_path / "a.json").write_text(json.dumps(ROWS, indent=1))
    pl.DataFrame(ROWS).write_parquet(tmp_path / "a.parquet")
    frames = [
        run_stage("source", source_of(path))[0]
        for path in (write_jsonl(tmp_path / "a.jsonl"), tmp_path / "a.json", tmp_path / "a.parquet", snapshot)
    ]
    assert all(frame.equals(frames[0]) for frame in frames)
    assert frames[0]["id"].n_unique() == len(ROWS)
    assert frames[0].columns == ["id", "problem", "answer", "solution", "level"]


def test_offline_copy_of_a_hub_set_reads_the_named_configuration(run_stage, snapshot):
    for config, rows in (("default", 600), ("extended", 7)):
        source = SourceConfig(hub=HubSource(name="a/b", config=config), local=str(snapshot))
        assert len(run_stage("source", source)[0]) == rows


def test_offline_copy_may_hold_its_split_in_named_files(run_stage, snapshot):
    hub = HubSource(name="a/b", files=("extended/train-00000-of-00001.parquet",))
    assert len(run_stage("source", SourceConfig(hub=hub, local=str(snapshot)))[0]) == 7


def test_offline_copy_does_not_change_the_identity(snapshot):
    hub = HubSource(name="a/b", revision="abc")
    assert SourceConfig(hub=hub).identity() == SourceConfig(hub=hub, local=str(snapshot)).identity()


def test_moved_file_keeps_its_identity(tmp_path):
    (tmp_path / "b").mkdir()
    one, other = write_jsonl(tmp_path / "a.jsonl"), write_jsonl(tmp_path / "b" / "c.jsonl")
    assert source_of(one).identity() == source_of(other).identity()


def test_file_that_changed_since_the_plan_is_refused(tmp_path, run_stage):
    path = write_jsonl(tmp_path / "a.jsonl")
    config = source_of(path)
    write_jsonl(path, ROWS[:-1])
    with pytest.raises(InputError, match="has changed since it was planned"):
        run_stage("source", config)


def test_digest_is_the_planners(tmp_path, snapshot, monkeypatch):
    digests = pytest.importorskip("pipeline.plan.digests")
    monkeypatch.setenv("STUDYC_CACHE", str(tmp_path / "cache"))
    path = write_jsonl(tmp_path / "a.jsonl")
    assert digest_path(path) == digests.path_digest(path)
    assert digest_path(snapshot) == digests.path_digest(snapshot)


def test_digest_sees_names_and_bytes_of_a_folder_but_no_hidden_files(tmp_path):
    folder = tmp_path / "f"
    folder.mkdir()
    write_jsonl(folder / "a.jsonl")
    first = digest_path(folder)
    (folder / ".cache").write_text("x")
    assert digest_path(folder) == first
    (folder / "a.jsonl").rename(folder / "b.jsonl")
    assert digest_path(folder) != first


def test_generator_makes_the_rows(run_stage):
    pytest.importorskip("pipeline.generators.arithmetic")
    rows, facts = run_stage(
        "source", SourceConfig(synthetic=SyntheticSource(generator="arithmetic", rows=20, seed=1))
    )
    again, _ = run_stage(
        "source", SourceConfig(synthetic=SyntheticSource(generator="arithmetic", rows=20, seed=1))
    )
    assert len(rows) == facts["rows_out"] == 20 and rows.equals(again)
    assert rows["answer"].null_count() == 0


def test_same_problem_twice_gets_two_ids(load_lines):
    rows, _ = load_lines(
        [{"problem": "p", "answer": "1"}, {"problem": "p", "answer": "2"}, {"problem": "q", "answer": "3"}]
    )
    first, second, _ = rows["id"]
    assert second == f"{first}-2"


def test_made_ids_do_not_depend_on_the_position(load_lines):
    one, _ = load_lines([{"problem": "p", "answer": "1"}, {"problem": "q", "answer": "2"}])
    other, _ = load_lines([{"problem": "q", "answer": "2"}, {"problem": "p", "answer": "1"}])
    assert one.sort("id").equals(other.sort("id"))


def test_repeated_id_is_refused_with_both_rows(load_lines):
    rows = [{"id": i % 400, "problem": f"p{i}", "answer": "1"} for i in range(401)]
    with pytest.raises(InputError, match=r"rows 1 and 401 have the same id '0'"):
        load_lines(rows)


def test_bad_json_line_is_named_with_file_and_line(tmp_path, run_stage):
    path = write_jsonl(tmp_path / "a.jsonl", ROWS[:2])
    path.write_text(path.read_text() + '{"problem": "p", \n')
    with pytest.raises(InputError, match=r"a\.jsonl:3:\d+: this line is no JSON"):
        run_stage("source", source_of(path))


def test_line_that_is_no_object_is_named(tmp_path, run_stage):
    path = tmp_path / "a.jsonl"
    path.write_text("\n[1, 2]\n")
    with pytest.raises(InputError, match=r"a\.jsonl:2:1: this line is a list"):
        run_stage("source", source_of(path))


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.jsonl", "", "is empty"),
        ("a.jsonl", "\n\n", "holds no rows"),
        ("a.json", "[]", "holds no rows"),
        ("a.json", '{"a": 1}', "expected a list of objects"),
        ("a.json", '[{"a": 1},', r"a\.json:1:11: this file is no JSON"),
        ("a.json", "[1]", "element 1 of the list is a int"),
        ("a.parquet", "no parquet", "cannot be read as Parquet"),
        ("a.txt", "x", "files ending in '.txt' are not read"),
    ],
)
def test_unusable_file_is_refused(tmp_path, run_stage, name, text, message):
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        run_stage("source", source_of(path))


def test_missing_file_is_refused(tmp_path, run_stage):
    with pytest.raises(InputError, match="there is no file or folder"):
        run_stage("source", source_of(tmp_path / "none.jsonl", digest="0" * 64))
    with pytest.raises(InputError, match="there is no file"):
        run_stage("source", SourceConfig(hub=HubSource(name="a/b"), local=str(tmp_path / "none.jsonl")))


def test_renamed_field_is_refused_before_anything_is_written(load_lines, tmp_path):
    with pytest.raises(InputError, match="there is no field 'question'"):
        load_lines([{"problem": "p", "answer": "1"}], problem="question")
    assert not list(tmp_path.rglob("rows.parquet"))


def test_types_that_change_along_the_file_are_settled_on_text(load_lines):
    rows, _ = load_lines(
        [
            {"problem": f"p{i}", "answer": i if i < 300 else "x", "note": None if i < 300 else "n"}
            for i in range(600)
        ]
    )
    assert rows["answer"].to_list()[298:302] == ["298", "299", "x", "x"]
    assert rows["note"].null_count() == 300


def write_lines(path, *lines):
    path.write_text("".join(line + "\n" for line in lines))
    return path


MANY = [json.dumps({"problem": f"p{i}", "answer": "1", "tags": "x"}) for i in range(300)]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (['{"problem": ["p"], "answer": "1"}'], "field 'problem' holds text or a number in row 1 and a list in row 3"),
        (['{"problem": "p", "answer": {"a": 1}}'], "field 'answer' holds text or a number in row 1 and a record in row 3"),
        (['{"problem": "\\ud800", "answer": "1"}'], "field 'problem' of row 3 is no text"),
        (['{"problem": "p", "answer": "1", "tags": [1, [2]]}'], "field 'tags' of row 3 mixes kinds of values"),
        (['{"problem": "p", "answer": "1", "tags": [1]}', '{"problem": "q", "answer": "1", "tags": [[1]]}'],
         "field 'tags' mixes kinds of values from row to row"),
        (['{"problem": "p", "answer": NaN}'], "row 3 has no gold answer"),
        (['{"problem": "p", "answer": "1", "tags": ' + "[" * 5000 + "]" * 5000 + "}"], r"a\.jsonl:3:1: this line is no JSON"),
    ],
)  # fmt: skip
def test_row_that_does_not_fit_is_refused_with_row_and_field(tmp_path, run_stage, lines, message):
    path = write_lines(tmp_path / "a.jsonl", *['{"problem": "p", "answer": "1"}'] * 2, *lines)
    with pytest.raises(InputError, match=message):
        run_stage("source", source_of(path))


def test_fields_that_the_map_leaves_out_may_be_of_any_kind(tmp_path, run_stage):
    mixed = ['{"problem": "q", "answer": "1", "tags": [1]}', '{"problem": "r", "answer": "1", "tags": {}}']
    path = write_lines(tmp_path / "a.jsonl", *MANY, *mixed)
    rows, facts = run_stage("source", source_of(path, fields=FieldMap(extra=())))
    assert len(rows) == facts["rows_out"] == 302


def test_column_that_changes_its_type_along_the_file_is_named_with_both_rows(tmp_path, run_stage):
    lists = [json.dumps({"problem": "q", "answer": "1", "tags": ["x"]})] * 300
    path = write_lines(tmp_path / "a.jsonl", *MANY[:256], *lists)
    with pytest.raises(
        InputError, match=r"'tags' holds String in .*, row 1 and List\(String\) in .*a\.jsonl, row 257"
    ):
        run_stage("source", source_of(path))


def test_records_may_gain_fields_along_the_file(load_lines):
    rows, _ = load_lines(
        [{"problem": f"p{i}", "answer": "1", "meta": {"a": 1} if i < 300 else {"b": "x"}} for i in range(600)]
    )
    assert rows["meta"][0] == {"a": 1, "b": None} and rows["meta"][599] == {"a": None, "b": "x"}


def test_records_without_any_field_are_null(load_lines):
    rows, _ = load_lines([
        {"problem": "p", "answer": "1", "meta": {}, "list": [{}], "deep": {"a": {}, "b": 1}},
        {"problem": "q", "answer": "1", "meta": {}},
    ])  # fmt: skip
    assert rows["meta"].to_list() == [None, None] and rows["list"].to_list() == [[None], None]
    assert rows["deep"].to_list() == [{"a": None, "b": 1}, None]
    many = [{"problem": f"p{i}", "answer": "1", "meta": {} if i < 300 else {"n": i}} for i in range(600)]
    assert load_lines(many)[0]["meta"][599] == {"n": 599}


def test_where_batches_end_decides_nothing(load_lines):
    whole = [{"problem": f"p{i}", "answer": "1"} for i in range(256)]
    for lacking in ([{"problem": "q"}], [{"problem": "q"}] * 300):
        with pytest.raises(InputError, match="row 257 has no gold answer"):
            load_lines(whole + lacking)
    with pytest.raises(InputError, match="row 257 has no 'id'"):
        load_lines([row | {"id": i} for i, row in enumerate(whole)] + whole)
    with pytest.raises(InputError, match="the rows from 257 on have ids, unlike those before"):
        load_lines(whole + [row | {"id": i} for i, row in enumerate(whole)])


def test_whole_numbers_of_any_length_are_kept_to_the_digit(load_lines):
    golds = [7, 2**60 + 1, 10**40, 2.5]
    rows, _ = load_lines([{"problem": f"p{i}", "answer": gold} for i, gold in enumerate(golds)])
    assert rows["answer"].to_list() == [str(gold) for gold in golds]


def test_parquet_with_two_columns_of_one_name_is_refused(tmp_path, run_stage):
    columns = [pa.array([text]) for text in ("p", "1", "2")]
    pq.write_table(pa.table(columns, names=["problem", "answer", "answer"]), tmp_path / "a.parquet")
    with pytest.raises(InputError, match=r'names must be unique: \["answer"\]'):
        run_stage("source", source_of(tmp_path / "a.parquet"))


def test_unknown_configuration_is_refused_with_those_that_exist(run_stage, snapshot):
    source = SourceConfig(hub=HubSource(name="a/b", config="nope"), local=str(snapshot))
    with pytest.raises(InputError, match=r"'nope' not found. Available: \['default', 'extended'\]"):
        run_stage("source", source)


def test_unpinned_hub_set_is_not_run(run_stage):
    for revision in (None, "unpinned"):
        with pytest.raises(RefusedError, match="not pinned"):
            run_stage("source", SourceConfig(hub=HubSource(name="a/b", revision=revision)))


def test_source_needs_exactly_one_origin():
    with pytest.raises(ValidationError, match="exactly one of hub, file, synthetic"):
        SourceConfig()


def test_set_that_loses_every_row_says_why(load_lines):
    with pytest.raises(InputError, match=r"none of 2 rows is left \(2 for no gold answer\)"):
        load_lines([{"problem": "p", "answer": ""}, {"problem": "q", "answer": None}], missing="drop")


def test_benchmark_copy_with_too_few_rows_is_refused(tmp_path, run_stage):
    path = write_jsonl(tmp_path / "aime24.jsonl", [{"id": 1, "problem": "p", "answer": "7"}])
    with pytest.raises(InputError, match=r"gives 1 rows \(1 read\), not the 30 expected"):
        run_stage("source", from_catalogue("benchmark", "aime24", local=str(path)))


def test_rows_are_the_same_after_a_killed_attempt(tmp_path, make_job):
    from pipeline import stages

    path = write_jsonl(tmp_path / "a.jsonl")
    job = make_job("source", source_of(path))
    (job.work / "shards").mkdir()
    (job.work / "shards" / "000000.parquet").write_bytes(b"half a shard")
    stages.load("source").run(job)
    assert len(pl.read_parquet(job.folder / "rows.parquet")) == len(ROWS)


def test_extra_columns_are_those_that_the_map_names(load_lines):
    rows, _ = load_lines([{"problem": "p", "answer": "1", "a": 1, "b": 2}], extra=("b", "c?"))
    assert rows.columns == ["id", "problem", "answer", "solution", "b"]
    assert FieldMap(extra=("b",)).identity() == {"extra": ["b"]}
