"""What each filter keeps and drops, and what it says about it."""

import random

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from pipeline import filters
from pipeline.errors import InputError
from pipeline.filters.decontaminate import NgramIndex
from pipeline.filters.near_duplicates import MinHashIndex, shingles_of

WORDS = [f"w{i}" for i in range(500)]


def rows_of(**columns):
    size = len(next(iter(columns.values())))
    columns = {"problem": [f"p{i}" for i in range(size)], **columns}
    return pl.DataFrame({"id": [f"r{i}" for i in range(size)], **columns}, strict=False)


def sentence(seed, size=40):
    return " ".join(random.Random(seed).choices(WORDS, k=size))


def test_max_chars_counts_characters_not_bytes(run_filters):
    rows, facts = run_filters(rows_of(solution=["ééé", "abcd", None]), {"max_chars": 3})
    assert rows["id"].to_list() == ["r0"]
    assert facts["filters"][0]["dropped"] == {"over 3 characters": 1, "no solution": 1}


def test_length_range_counts_characters_or_words(run_filters):
    frame = rows_of(solution=["a b", "a b c d", "a b c d e f"])
    by_words, _ = run_filters(frame, {"length_range": {"unit": "words", "at_least": 3, "at_most": 5}})
    by_chars, _ = run_filters(frame, {"length_range": {"at_most": 3}})
    assert by_words["id"].to_list() == ["r1"] and by_chars["id"].to_list() == ["r0"]


def test_contains_looks_for_the_literal_text(run_filters):
    frame = rows_of(solution=[r"so \boxed{1}", "so 1", "boxed", None])
    kept, facts = run_filters(frame, {"contains": "\\boxed{"})
    lacking, _ = run_filters(frame, {"contains": {"text": "boxed", "absent": True}})
    assert kept["id"].to_list() == ["r0"] and lacking["id"].to_list() == ["r1", "r3"]
    assert facts["filters"][0]["dropped"] == {"solution lacks '\\\\boxed{'": 3}


@pytest.mark.parametrize(
    ("params", "kept"),
    [
        ({"column": "level", "at_least": 3, "at_most": 4}, ["r2", "r3"]),
        ({"column": "level", "one_of": [1, 5]}, ["r0", "r4"]),
        ({"column": "kind", "equals": "b"}, ["r1", "r3"]),
        ({"column": "ok", "equals": True}, ["r0"]),
    ],
)
def test_where_compares_typed_values(run_filters, params, kept):
    frame = rows_of(
        level=[1, 2, 3, 4, 5], kind=["a", "b", "a", "b", None], ok=[True, False, None, False, False]
    )
    assert run_filters(frame, {"where": params})[0]["id"].to_list() == kept


def test_where_keeps_no_row_whose_number_is_none(run_filters):
    frame = rows_of(score=[1.0, float("nan"), None, 4.0])
    assert run_filters(frame, {"where": {"column": "score", "at_least": 2}})[0]["id"].to_list() == ["r3"]
    assert run_filters(frame, {"where": {"column": "score", "at_most": 2}})[0]["id"].to_list() == ["r0"]


def test_where_refuses_a_value_of_another_type(run_filters):
    with pytest.raises(InputError, match="column 'level' holds String, compared with 3"):
        run_filters(rows_of(level=["Level 3"]), {"where": {"column": "level", "at_least": 3}})
    with pytest.raises(InputError, match="no column 'levle'") as caught:
        run_filters(rows_of(level=[1]), {"where": {"column": "levle", "equals": 1}})
    assert caught.value.remedy == "Did you mean 'level'?"


def test_deduplicate_keeps_the_first_of_equal_problems(run_filters):
    problems = ["Find  x+1.", "find x+1.", "find x-1.", "Find x+1.\n", None]
    rows, facts = run_filters(rows_of(problem=problems), "deduplicate")
    assert rows["id"].to_list() == ["r0", "r2", "r4"]
    assert facts["filters"][0]["dropped_examples"] == {"same problem as an earlier row": ["r1", "r3"]}


def test_near_duplicates_go_and_different_problems_stay(run_filters):
    base = sentence(1)
    changed = " ".join(["other", *base.split()[1:]])
    half = " ".join([*base.split()[:20], *sentence(2, 20).split()])
    rows, _ = run_filters([base, sentence(3), changed, half, base.upper()], "near_duplicates", batch_rows=2)
    assert rows["id"].to_list() == ["r0", "r1", "r3"]


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), changes=st.integers(0, 12))
def test_nothing_below_the_threshold_is_a_near_duplicate(seed, changes):
    words = sentence(seed).split()
    for place in random.Random(seed + 1).sample(range(len(words)), changes):
        words[place] = "new"
    one, other = set(shingles_of(sentence(seed), 3).tolist()), set(shingles_of(" ".join(words), 3).tolist())
    similarity = len(one & other) / len(one | other)
    kept = MinHashIndex(0.8, 0)
    kept.add(shingles_of(sentence(seed), 3))
    is_new = kept.add(shingles_of(" ".join(words), 3))
    assert is_new or similarity >= 0.8
    if similarity == 1:
        assert not is_new


def test_decontaminate_drops_rows_that_share_a_run_of_words(run_filters, save_rows):
    test = sentence(1, 30)
    words = test.split()
    problems = [
        f"Prefix, {' '.join(words[5:18]).upper()}! and more",
        f"Only twelve {' '.join(words[5:17])} words",
        sentence(2),
    ]
    against = (save_rows([test]),)
    rows, facts = run_filters(problems, {"decontaminate": ["aime24"]}, against=against)
    assert rows["id"].to_list() == ["r1", "r2"]
    assert facts["filters"][0]["dropped"] == {"shares 13 words with rows-0": 1}
    shorter, _ = run_filters(problems, {"decontaminate": {"against": ["aime24"], "n": 8}}, against=against)
    assert shorter["id"].to_list() == ["r2"]


def test_signs_between_words_do_not_hide_a_common_run():
    runs = NgramIndex(13, 8)
    runs.add("Let a_1, a_2 and b_{n+1} be roots of x^2 - 5x + 6 = 0; find a_1 + a_2.")
    assert runs.overlaps("let a_{1}, a_{2} and b_{n + 1} be roots of x^{2}-5x+6=0")


def test_short_benchmark_problems_count_whole():
    runs = NgramIndex(13, 8)
    runs.add("What is 2 + 2?")
    runs.add("one two three four five six seven eight nine")
    assert runs.overlaps("what is 2+2") and not runs.overlaps("Say what is 2+2 now")
    assert runs.overlaps("zero one two three four five six seven eight nine ten")
    assert not runs.overlaps("") and not runs.overlaps("!?")


def test_what_is_shared_with_a_short_problem_is_said_as_it_is(run_filters, save_rows):
    short, tiny = "one two three four five six seven eight nine", "What is 2 + 2?"
    against = (save_rows([short, tiny]),)
    rows, facts = run_filters(
        [f"Say {short}.", "what is 2+2", "other"], {"decontaminate": ["aime24"]}, against=against
    )
    assert rows["id"].to_list() == ["r2"]
    assert facts["filters"][0]["dropped"] == {
        "holds a whole problem of rows-0": 1,
        "is a problem of rows-0": 1,
    }


def test_decontaminate_without_benchmarks_is_refused(run_filters):
    with pytest.raises(InputError, match=r"the sets to check against \(aime24\) were not given"):
        run_filters(["p"], {"decontaminate": ["aime24"]})


def traces(**changed):
    columns = {
        "generations": [["a0", "a1"], ["b0", "b1"], ["c0", "c1"], ["d0", "d1"]],
        "correctness_math_verify": [[True, True], [False, False], [True, False], [False, False]],
        "correctness_llama": [None, [False, True], None, [False, False]],
        "is_reasoning_complete": [[True, True], [True, True], [False, True], [True, True]],
        "finish_reasons": [["stop", "stop"]] * 4,
        "answer": ["1", "2", "3", "4"],
    }
    return rows_of(**(columns | changed))


def test_one_correct_trace_becomes_the_solution(run_filters):
    rows, facts = run_filters(traces(), "one_correct_trace")
    assert rows["id"].to_list() == ["r0", "r1"]
    assert rows["solution"][0] in ("a0", "a1") and rows["solution"][1] == "b1"
    assert rows["solution"][0] == f"a{rows['trace_index'][0]}"
    assert set(rows.columns) == {"id", "problem", "answer", "solution", "trace_index"}
    assert facts["filters"][0]["dropped_examples"] == {"no correct trace": ["r2", "r3"]}


def test_which_flag_counts_and_whether_traces_must_be_complete_is_declared(run_filters):
    strict, _ = run_filters(traces(), {"one_correct_trace": {"verified_by": "math_verify"}})
    loose, _ = run_filters(traces(), {"one_correct_trace": {"complete": False}})
    assert strict["id"].to_list() == ["r0"] and loose["id"].to_list() == ["r0", "r1", "r2"]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"generations": [["a0", "a1"], ["b0"], ["c0"], ["d0"]]}, "row 'r1' .* 1 traces and flags of 2"),
        ({"generations": [["a0", "a1"], None, ["c0"], ["d0"]]}, "row 'r1' .* 0 traces and flags of 2"),
        ({"generations": [["a0", "a1", "a2"], ["b0", "b1"], [], []]}, "row 'r0' .* 3 traces and flags of 2"),
        (
            {"is_reasoning_complete": [[True, True], [True], [], []]},
            "row 'r1' .* 2 in correctness_math_verify, 2 in correctness_llama, 1 in is_reasoning_complete",
        ),
    ],
)
@pytest.mark.parametrize("after", [(), ({"max_chars": 9},)])
def test_flags_without_their_traces_are_refused_with_the_row(run_filters, changed, message, after):
    with pytest.raises(InputError, match=message) as caught:
        run_filters(traces(**changed), "one_correct_trace", *after)
    assert "occurred" not in str(caught.value)


def test_flags_may_be_absent(run_filters):
    flags = {
        "correctness_llama": [[], [False, True], None, []],
        "correctness_math_verify": [[True, True], None, [], []],
    }
    rows, facts = run_filters(traces(**flags), "one_correct_trace")
    assert rows["id"].to_list() == ["r0", "r1"] and rows["solution"][1] == "b1"
    assert facts["filters"][0]["dropped"] == {"no correct trace": 2}


def test_the_trace_is_drawn_by_the_seed_and_the_id_alone(run_filters):
    size = 60
    frame = rows_of(
        generations=[["x", "y"]] * size,
        correctness_math_verify=[[True, True]] * size,
        correctness_llama=[None] * size,
        is_reasoning_complete=[[True, True]] * size,
    )
    one, _ = run_filters(frame, "one_correct_trace", seed=1)
    again, _ = run_filters(frame.reverse(), "one_correct_trace", seed=1)
    other, _ = run_filters(frame, "one_correct_trace", seed=2)
    assert one.sort("id").equals(again.sort("id")) and not one.equals(other)
    assert 15 < one["trace_index"].sum() < 45


def test_sample_share_depends_on_seed_and_id_and_is_nested(run_filters):
    frame = rows_of(n=list(range(400)))
    small, _ = run_filters(frame, {"sample_share": 0.25}, seed=3)
    large, _ = run_filters(frame, {"sample_share": 0.5}, seed=3)
    whole, _ = run_filters(frame, {"sample_share": 1.0}, seed=3)
    assert set(small["id"]) < set(large["id"]) < set(whole["id"]) and len(whole) == 400
    assert 60 < len(small) < 140 and 150 < len(large) < 250


def test_answer_parsable_keeps_what_the_grader_reads(run_filters):
    frame = rows_of(answer=["7", r"\frac{1}{2}", "", None, "b > a > c"])
    rows, facts = run_filters(frame, "answer_parsable")
    assert rows["answer"].to_list() == ["7", r"\frac{1}{2}"]
    assert facts["filters"][0]["dropped"]["no answer"] == 2


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    """A word-level tokenizer in a policy folder."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    built = Tokenizer(models.WordLevel({"<unk>": 0, "a": 1, "b": 2}, unk_token="<unk>"))
    built.pre_tokenizer = pre_tokenizers.Whitespace()
    folder = tmp_path_factory.mktemp("policy")
    PreTrainedTokenizerFast(tokenizer_object=built, unk_token="<unk>").save_pretrained(folder / "model")
    return folder


def test_max_tokens_counts_with_the_named_tokenizer_or_the_policys(run_filters, tokenizer):
    frame = rows_of(solution=["a b a", "a b a b", None] * 20)
    named, facts = run_filters(frame, {"max_tokens": {"tokens": 3, "tokenizer": str(tokenizer / "model")}})
    own, _ = run_filters(frame, {"max_tokens": 3}, policy=(tokenizer,))
    assert named.equals(own) and named["solution"].to_list() == ["a b a"] * 20
    assert facts["filters"][0]["dropped"] == {"over 3 tokens": 20, "no solution": 20}


def test_max_tokens_counted_in_several_processes_keeps_the_same_rows(run_filters, tokenizer):
    frame = rows_of(solution=["a b a", "a b a b", None, "b"] * 20)
    step = {"max_tokens": {"tokens": 3, "tokenizer": str(tokenizer / "model")}}
    one, facts = run_filters(frame, step, batch_rows=7)
    several, same = run_filters(frame, step, batch_rows=7, processes=2)
    assert one.equals(several) and facts == same and len(one) == 40


def test_max_tokens_without_a_tokenizer_is_refused(run_filters, tmp_path):
    with pytest.raises(InputError, match="there is no tokenizer to count with"):
        run_filters(rows_of(solution=["a"]), {"max_tokens": 3})
    with pytest.raises(InputError, match="cannot be loaded"):
        run_filters(rows_of(solution=["a"]), {"max_tokens": {"tokens": 3, "tokenizer": str(tmp_path)}})


def test_column_that_is_no_text_is_refused(run_filters):
    with pytest.raises(InputError, match="filter max_chars: column 'level' holds Int64, not text"):
        run_filters(rows_of(level=[1]), {"max_chars": {"chars": 3, "column": "level"}})


def test_short_forms_set_the_main_parameter():
    assert filters.validate("max_tokens", 16_384).identity() == {"tokens": 16_384}
    assert filters.validate("decontaminate", ["aime24"]).against == ("aime24",)
    assert filters.validate("deduplicate").identity() == {}
    for name, wrong in (
        ("max_chars", "many"),
        ("one_correct_trace", 3),
        ("where", {"column": "x"}),
        ("where", {"column": "x", "at_least": 2, "at_most": 1}),
    ):
        with pytest.raises(ValidationError):
            filters.validate(name, wrong)


@pytest.mark.parametrize("name", filters.names())
def test_every_filter_is_documented(name):
    described = filters.describe(name)
    assert described.startswith(f"{name}: ") and filters.get(name).DOC.endswith(".")
    assert all(f"  {parameter}: " in described for parameter in filters.params_model(name).model_fields)
