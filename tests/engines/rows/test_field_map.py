"""How columns of any source become ours, on small made-up files."""

import polars as pl
import pytest
from pydantic import ValidationError

from pipeline import benchmarks
from pipeline.datasets import FieldMap, RowCondition
from pipeline.engines.rows.fields import last_boxed, map_batch
from pipeline.engines.rows.store import ROW, Dropped
from pipeline.errors import InputError


def map_rows(rows, row_filter=(), **fields):
    frame = pl.from_dicts(rows, infer_schema_length=None)
    return map_batch(frame, FieldMap(**fields), row_filter, "made.jsonl", 1, Dropped())


def gold_of(value, rule, **fields):
    return map_rows([{"problem": "p", "answer": value}], gold=rule, **fields)["answer"][0]


def test_rows_in_our_own_form_need_no_map():
    mapped = map_rows([{"id": "a", "problem": " p ", "answer": "1", "solution": "s", "level": 3}])
    assert mapped.drop(ROW).row(0, named=True) == {
        "id": "a",
        "problem": "p",
        "answer": "1",
        "solution": "s",
        "level": 3,
    }


@pytest.mark.parametrize(
    ("value", "rule", "gold"),
    [
        ("so 3.\n#### 1,234", "after_hashes", "1234"),
        ("#### 1 #### -5", "after_hashes", "-5"),
        (r"thus \boxed{\frac{1}{2}} holds", "last_boxed", r"\frac{1}{2}"),
        (r"\boxed{1} wrong, so \boxed{2}", "last_boxed", "2"),
        (r"\boxed 7 $", "last_boxed", "7"),
        (r"\boxed{1}, so $\boxed 7$", "last_boxed", "7"),
        (r"$\boxed{15\frac{39}{40}},$ or $\boxed{\frac{639}{40}}$", "last_boxed", r"\frac{639}{40}"),
        (r"\boxed{2} and \boxed{3} \boxed{}", "last_boxed", "3"),
        (["$x+1$"], "first_of_list", "$x+1$"),
        ([3.0], "first_of_list", "3"),
        ("plain", "first_of_list", "plain"),
        (27.0, "integer", "27"),
        ("27.0", "integer", "27"),
        ("025", "integer", "25"),
        (-1.0, "integer", "-1"),
        (0.0, "integer", "0"),
        (2.5, "number", "2.5"),
        ("1,000.00", "number", "1000"),
        (7, "as_is", "7"),
        (3.0, "as_is", "3"),
    ],
)
def test_gold_rules_read_the_answer(value, rule, gold):
    assert gold_of(value, rule) == gold


def test_unwrapping_takes_dollars_off_one_formula_only():
    assert gold_of(r"$\frac{1}{2}$", "as_is", unwrap_math=True) == r"\frac{1}{2}"
    assert gold_of("$1$ or $2$", "as_is", unwrap_math=True) == "$1$ or $2$"


@pytest.mark.parametrize("value", ["2.5", "seven", "1e3"])
def test_gold_that_is_no_integer_is_refused_with_row_and_value(value):
    with pytest.raises(InputError, match=rf"row 1 is '{value}', which is no integer"):
        gold_of(value, "integer")


def test_body_is_joined_as_a_sentence():
    rows = [
        {"Body": "He has 2", "Question": "How many?"},
        {"Body": "Two.", "Question": "Q?"},
        {"Body": None, "Question": "R?"},
    ]
    mapped = map_rows(rows, problem="Question", body="Body", answer=None)
    assert mapped["problem"].to_list() == ["He has 2. How many?", "Two. Q?", "R?"]


def test_a_template_weaves_columns_and_leaves_out_parts_whose_column_is_empty():
    rows = [
        {"title": "Shoes", "table": "a | 1", "question": "How many?", "choices": None, "answer": "1"},
        {"title": "", "table": "b | 2", "question": "Which?", "choices": ["a", "b"], "answer": "b"},
    ]
    template = 'Table [[on "{title}" ]]here:\n{table}\n{question}[[ Of: {choices}]]'
    mapped = map_rows(rows, template=template, extra=())
    assert mapped["problem"].to_list() == [
        'Table on "Shoes" here:\na | 1\nHow many?',
        "Table here:\nb | 2\nWhich? Of: a, b",
    ]
    with pytest.raises(InputError, match=r"there is no field 'tabel' .*problem's template"):
        map_rows(rows, template="{tabel} {question}")
    rows[1]["question"] = None
    with pytest.raises(InputError, match="row 2 has no problem"):
        map_rows(rows, template=template)


def test_tables_become_problems_as_the_harness_writes_them():
    row = {
        "table_title": "Coin collections", "table": "Name | Coins\nBraden | 76", "question": "How many?",
        "choices": None, "answer": "76", "solution": "Look.", "ques_type": "free_text", "unit": "coins",
    }  # fmt: skip
    fields = benchmarks.get("tabmwp").fields.model_dump()
    mapped = map_rows([row, row | {"choices": ["yes", "no"], "answer": "yes"}], **fields)
    head = 'Read the following table regarding "Coin collections" and answer a question:\nName | Coins\nBraden | 76\nHow many?'
    assert mapped["problem"].to_list() == [head, f"{head} Please select from the following options: yes, no"]
    assert mapped["answer"].to_list() == ["76", "yes"] and "unit" not in mapped.columns


def test_renamed_field_is_refused_with_the_nearest_one():
    with pytest.raises(InputError) as caught:
        map_rows([{"problems": "p", "answer": "1"}])
    assert "no field 'problem' (wanted as problem)" in caught.value.what
    assert caught.value.remedy == "Did you mean 'problems'? Fields here: problems, answer."


def test_column_of_golds_that_is_missing_is_refused_unless_the_map_says_there_is_none():
    with pytest.raises(InputError, match="no field 'answer'") as caught:
        map_rows([{"problem": "p", "solution": "s"}])
    assert "{fields: {answer: null}}" in caught.value.remedy
    assert map_rows([{"problem": "p", "solution": "s"}], answer=None)["answer"].to_list() == [None]


def test_missing_field_lists_the_fields_that_exist():
    with pytest.raises(InputError) as caught:
        map_rows([{"text": "p", "y": "1"}], problem="question")
    assert "text" in caught.value.remedy and "y" in caught.value.remedy


def test_several_names_take_the_first_that_exists():
    fields = {"answer": ("final_answer", "answer"), "gold": "first_of_list"}
    assert map_rows([{"problem": "p", "answer": "2"}], **fields)["answer"][0] == "2"
    assert map_rows([{"problem": "p", "answer": "2", "final_answer": ["3"]}], **fields)["answer"][0] == "3"


def test_fields_of_records_are_reached_with_a_dot():
    rows = [{"extra_info": {"question": "q", "level": 3}, "reward_model": {"ground_truth": "4"}}]
    mapped = map_rows(
        rows,
        problem=("question", "extra_info.question"),
        answer=("answer", "extra_info.answer", "reward_model.ground_truth"),
        extra=("extra_info.level?", "extra_info.subject?"),
    )
    assert mapped.select("problem", "answer", "level").row(0) == ("q", "4", 3)
    assert "subject" not in mapped.columns


@pytest.mark.parametrize(
    ("value", "gold", "message"),
    [
        (["1"], "as_is", r"field 'answer' holds lists, not text \(row 2\)"),
        ({"a": 1}, "as_is", r"field 'answer' holds records, not text \(row 2\)"),
        ([["1"]], "first_of_list", r"field 'answer' holds lists, not text \(row 2\)"),
        ([{"a": 1}], "first_of_list", r"field 'answer' holds records, not text \(row 2\)"),
        (b"\xff", "as_is", "field 'answer' of row 2 holds bytes that are no text"),
    ],
)
def test_what_is_no_text_is_refused_with_row_and_field(value, gold, message):
    with pytest.raises(InputError, match=message):
        map_rows([{"problem": "p", "answer": None}, {"problem": "q", "answer": value}], gold=gold)


def test_gold_that_is_not_a_number_is_missing():
    with pytest.raises(InputError, match="row 2 has no gold answer"):
        map_rows([{"problem": "p", "answer": 3.0}, {"problem": "q", "answer": float("nan")}])


@pytest.mark.parametrize("blank", [None, "", "  "])
def test_row_with_a_blank_id_is_refused(blank):
    with pytest.raises(InputError, match="row 2 has no 'id'"):
        map_rows([{"id": "a", "problem": "p", "answer": "1"}, {"id": blank, "problem": "q", "answer": "1"}])


@pytest.mark.parametrize("column", ["problem", "meta.answer", "id?"])
def test_extra_column_named_like_one_of_ours_is_refused(column):
    with pytest.raises(ValidationError, match="would take the name of one of ours"):
        FieldMap(extra=("level", column))


def test_categories_become_text():
    kinds = pl.DataFrame({"c": ["a"], "e": ["b"]}, schema={"c": pl.Categorical, "e": pl.Enum(["b"])})
    frame = pl.concat([pl.DataFrame({"problem": ["p"], "answer": ["1"]}), kinds], how="horizontal")
    mapped = map_batch(frame, FieldMap(), (), "made.parquet", 1, Dropped())
    assert mapped.select("c", "e").schema == {"c": pl.String, "e": pl.String}


def test_a_source_may_have_a_column_of_any_name():
    assert map_rows([{"problem": "p", "answer": "1", "_row": 7}])["_row"].to_list() == [7]


def test_row_without_gold_is_refused_and_named():
    rows = [{"id": "a", "problem": "p", "answer": "1"}, {"id": "b", "problem": "q", "answer": " "}]
    with pytest.raises(InputError, match=r"row 2 \(id 'b'\) has no gold answer"):
        map_rows(rows)


def test_rows_without_gold_are_kept_or_dropped_when_the_map_says_so():
    rows = [{"problem": "p", "answer": "1"}, {"problem": "q", "answer": None}]
    assert map_rows(rows, missing="keep")["answer"].to_list() == ["1", None]
    dropped = Dropped()
    frame = map_batch(pl.from_dicts(rows), FieldMap(missing="drop"), (), "x", 11, dropped)
    assert frame["problem"].to_list() == ["p"]
    assert dropped.facts() == {
        "dropped": {"no gold answer": 1},
        "dropped_examples": {"no gold answer": ["row 12"]},
    }


def test_answer_left_in_the_problem_is_moved_to_the_gold():
    rows = [
        {"problem": "Which one?(A) 1(B) 2Answer: B", "answer": ""},
        {"problem": "The chance is.answers: $\\frac{3}{10}$", "answer": ""},
        {"problem": "Give your answer: as text", "answer": "5"},
    ]
    mapped = map_rows(rows, gold_in_problem=True)
    assert mapped["answer"].to_list() == ["B", "\\frac{3}{10}", "5"]
    assert mapped["problem"].to_list() == [
        "Which one?(A) 1(B) 2",
        "The chance is.",
        "Give your answer: as text",
    ]


def test_row_conditions_keep_only_matching_rows():
    rows = [
        {"problem": "p", "answer": "1", "url": "…/2024_AIME_I", "n": 1},
        {"problem": "q", "answer": "2", "url": None, "n": 2},
    ]
    by_text = map_rows(rows, (RowCondition(column="url", contains="2024_AIME"),))
    by_value = map_rows(rows, (RowCondition(column="n", equals=2),))
    assert by_text["problem"].to_list() == ["p"] and by_value["problem"].to_list() == ["q"]
    with pytest.raises(InputError, match="holds text, compared with 2024"):
        map_rows(rows, (RowCondition(column="url", equals=2024),))


@pytest.mark.parametrize(
    ("column", "equals", "holds"),
    [("n", "1", "Int64"), ("ok", "true", "Boolean"), ("tags", "a", r"List\(String\)"), ("meta", 1, "Struct")],
)
def test_row_condition_of_another_type_is_refused(column, equals, holds):
    row = {"problem": "p", "answer": "1", "n": 1, "ok": True, "tags": ["a"], "meta": {"n": 1}}
    with pytest.raises(InputError, match=f"field '{column}' holds {holds}.*, compared with {equals!r}"):
        map_rows([row], (RowCondition(column=column, equals=equals),))


def test_row_condition_needs_exactly_one_test():
    with pytest.raises(ValidationError, match="either equals or contains"):
        RowCondition(column="x")


def test_last_box_keeps_nested_braces_and_ignores_unclosed_ones():
    assert last_boxed(r"\boxed{a_{1}^{2}}") == "a_{1}^{2}"
    assert last_boxed(r"\boxed{1} and \boxed{2") == "1"
    assert last_boxed("none") is None and last_boxed(None) is None
