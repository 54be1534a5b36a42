"""Training sets in the hub's own layout and with the real columns: every catalogued configuration is read."""

import errno
import json

import polars as pl
import pytest
from datasets.exceptions import DatasetGenerationError

from pipeline import datasets
from pipeline.datasets import HubSource
from pipeline.errors import InputError
from pipeline.stages.source import SourceConfig, from_catalogue

OPENR1 = {
    "problem": ["What is 1+1?", "What is 2+2?"],
    "solution": ["It is 2.", "It is 4."],
    "answer": ["2", "4"],
    "problem_type": ["Algebra"] * 2,
    "question_type": ["math-word-problem"] * 2,
    "source": ["olympiads"] * 2,
    "uuid": ["u1", "u2"],
    "is_reasoning_complete": [[True, False], [True, True]],
    "generations": [["a", "b"], ["c", "d"]],
    "correctness_math_verify": [[True, False], [False, True]],
    "correctness_llama": [None, [True, False]],
    "finish_reasons": [["stop", "length"], None],
    "correctness_count": [1, 1],
    "messages": [[{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]] * 2,
}
S1 = {
    "question": ["q1", "q2"], "solution": [r"so \boxed{3}", "no box"], "cot_type": ["math"] * 2,
    "source_type": ["x"] * 2, "metadata": ["{}"] * 2, "cot": [None, None],
    "thinking_trajectories": [["t"], ["u"]], "attempt": ["a", "b"],
}  # fmt: skip
SHORT = {"problem": ["p1", "p2"], "solution": ["s1", "s2"], "answer": ["1", "2"]}
COLUMNS = {
    "openr1_math_220k": OPENR1,
    "s1_pool": S1,
    "deepscaler": SHORT,
    "open_deepscaler": SHORT,
    "open_s1": SHORT,
    "open_rs": {**SHORT, "level": ["Easy", "Hard"]},
    "gsm8k": {"question": ["q1", "q2"], "answer": ["so\n#### 1,200", "so\n#### 7"]},
    "math": {
        "problem": ["p1", "p2"],
        "solution": [r"\boxed{1}", r"\boxed{\frac12}"],
        "level": ["Level 1"] * 2,
        "type": ["Algebra"] * 2,
    },
    "simplerl_zoo": {
        "question": ["q1", "q2"], "answer": ["1", "2"], "level": [1, 2], "subject": ["Algebra"] * 2,
        "extra_info": [{"question": "q1", "level": 1}] * 2, "prompt": [[{"role": "user", "content": "q"}]] * 2,
    },
}  # fmt: skip
GOLDS = {
    "s1_pool": ["3", None],
    "gsm8k": ["1200", "7"],
    "math": ["1", r"\frac12"],
    "openr1_math_220k": ["2", "4"],
}
CASES = [(name, config) for name in datasets.names() for config in datasets.get(name).origins]


def write_folder(folder, columns, hub):
    """Two shards and a card, or the files that the entry names."""
    frame = pl.DataFrame(columns)
    if hub.files:
        for file in hub.files:
            (folder / file).parent.mkdir(parents=True)
            frame.write_parquet(folder / file)
        return
    config = hub.config or "default"
    (folder / config).mkdir(parents=True)
    for i in range(2):
        frame[i : i + 1].write_parquet(folder / config / f"{hub.split}-{i:05d}-of-00002.parquet")
    files = f"  data_files:\n  - split: {hub.split}\n    path: {config}/{hub.split}-*\n"
    (folder / "README.md").write_text(f"---\nconfigs:\n- config_name: {config}\n{files}---\n# Rows\n")


@pytest.mark.parametrize(("name", "config"), CASES)
def test_a_folder_of_the_hub_with_the_real_columns_is_mapped(name, config, tmp_path, run_stage):
    entry = datasets.get(name)
    write_folder(tmp_path / "hub", COLUMNS[name], entry.origin(config).hub)
    rows, facts = run_stage(
        "source", from_catalogue("dataset", name, config=config, local=str(tmp_path / "hub"))
    )
    assert facts["rows_out"] == 2 and rows["problem"].null_count() == 0
    assert rows["answer"].to_list() == GOLDS.get(name, ["1", "2"])


def test_only_the_columns_that_are_mapped_are_kept_and_the_lists_stay_lists(tmp_path, run_stage):
    write_folder(tmp_path / "hub", OPENR1, datasets.get("openr1_math_220k").origin().hub)
    rows, _ = run_stage("source", from_catalogue("dataset", "openr1_math_220k", local=str(tmp_path / "hub")))
    assert "messages" not in rows.columns and rows["solution"].null_count() == 2
    assert rows["generations"].to_list() == OPENR1["generations"]
    assert rows["correctness_llama"].to_list() == [None, [True, False]]


def test_types_that_the_card_states_are_left_to_the_library(tmp_path, run_stage):
    hub = datasets.get("open_rs").origin().hub
    write_folder(tmp_path / "hub", COLUMNS["open_rs"], hub)
    card = (tmp_path / "hub" / "README.md").read_text()
    features = "".join(f"  - name: {name}\n    dtype: string\n" for name in COLUMNS["open_rs"])
    stated = f"dataset_info:\n  config_name: default\n  features:\n{features}---\n# Rows\n"
    (tmp_path / "hub" / "README.md").write_text(card.replace("---\n# Rows\n", stated))
    rows, _ = run_stage("source", from_catalogue("dataset", "open_rs", local=str(tmp_path / "hub")))
    assert rows["answer"].to_list() == ["1", "2"] and rows["level"].to_list() == ["Easy", "Hard"]


def write_lines(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


@pytest.fixture
def read_folder(tmp_path, run_stage):
    """read_folder() -> rows of the folder `hub`."""
    return lambda: run_stage("source", SourceConfig(hub=HubSource(name="a/b"), local=str(tmp_path / "hub")))[
        0
    ]


def test_json_lines_of_a_folder_are_read_as_they_are_written(tmp_path, read_folder):
    first = [{"problem": "p", "answer": "2024-01-01"}, {"problem": "q", "answer": 1}]
    write_lines(tmp_path / "hub" / "a.jsonl", first)
    write_lines(tmp_path / "hub" / "b.jsonl", [{"problem": "r", "answer": "x", "level": 3}])
    rows = read_folder()
    assert rows["answer"].to_list() == ["2024-01-01", "1", "x"] and rows["level"].to_list() == [None, None, 3]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.jsonl", "", "a.jsonl is empty"),
        ("a.jsonl", '{"problem": "p", "answer": "1"}\n{bad\n', r"a\.jsonl:2:2: this line is no JSON"),
        ("a.jsonl", '{"problem": "p", "answer": "1"}\n{"problem": "p", "answer": []}\n', "a list in row 2"),
        ("a.json", "", "cannot be read"),
        ("a.json", '{"problem": "p", "answer": "1"}\n{"problem": "p", "answer": [1]}\n', "'answer' holds values of several"),
        ("a.json", '{"problem": "p", "answer": "1", "meta": [{}]}\n', "'meta' holds values of several"),
        ("README.md", "---\nconfigs: [\n---\n", "cannot be read"),
    ],
)  # fmt: skip
def test_a_folder_that_cannot_be_read_is_refused(tmp_path, read_folder, name, text, message):
    (tmp_path / "hub").mkdir()
    (tmp_path / "hub" / name).write_text(text)
    with pytest.raises(InputError, match=message):
        read_folder()


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (
            {"a.jsonl": '{"problem": "p"}\n', "b.jsonl": '{"problem": "p", "level": 3}\n'},
            "because column names don't match",
        ),
        ({"a.jsonl": "{bad\n"}, "JSON parse error"),
        ({"a.csv": 'problem,answer\n1,2,3\n"'}, "cannot be read"),
    ],
)
def test_a_set_that_the_library_cannot_build_is_refused_with_the_first_cause(
    tmp_path, run_stage, monkeypatch, files, message
):
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    (tmp_path / "hub").mkdir()
    for name, text in files.items():
        (tmp_path / "hub" / name).write_text(text)
    hub = HubSource(name=str(tmp_path / "hub"), revision="0" * 40)
    with pytest.raises(InputError, match=message) as caught:
        run_stage("source", SourceConfig(hub=hub))
    assert "An error occurred while generating" not in caught.value.what


def test_a_full_disk_is_no_fault_of_the_data_set(tmp_path, run_stage, monkeypatch):
    def build(*_: object, **__: object) -> None:
        try:
            raise OSError(errno.ENOSPC, "No space left on device")
        except OSError as error:
            raise DatasetGenerationError("An error occurred while generating the dataset") from error

    monkeypatch.setattr("datasets.load_dataset", build)
    with pytest.raises(OSError, match="No space left"):
        run_stage("source", SourceConfig(hub=HubSource(name="a/b", revision="0" * 40)))
