"""What judges ask and how they read replies: readable or not, and nothing in between."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import judges
from pipeline.errors import StudyError
from pipeline.fingerprint import Config

ROW = {"problem": "What is {response} + 1?", "response": "It is {problem}. No 3."}


@pytest.mark.parametrize("name", judges.names())
def test_every_judge_keeps_its_word(name):
    module = judges.get(name)
    assert name == module.NAME and issubclass(module.Params, Config)
    assert set(module.POSITIVE) < set(module.LABELS) and set(module.FIELDS) <= {"problem", "response"}
    messages = judges.ask(name, ROW)
    assert [set(message) for message in messages] == [{"role", "content"}] * len(messages)
    assert all(messages[-1]["content"].count(ROW[field]) == 1 for field in module.FIELDS)
    assert all(text in judges.describe(name) for text in (*module.LABELS, module.SOURCE))


@pytest.mark.parametrize("name", judges.names())
@given(reply=st.text())
def test_any_reply_is_a_label_or_unreadable(name, reply):
    assert judges.read(name, reply) in {None, *judges.get(name).LABELS}


@pytest.mark.parametrize(
    ("reply", "label"),
    [
        ("It goes straight to the answer. 1.", "direct"),
        ("It demonstrates self-reflection. 2.", "reflective"),
        ("‘It demonstrates self-reflection. 2.’", "reflective"),
        ("It doubts itself. **2**\n\n", "reflective"),
        ("Off topic. 0", "off_topic"),
        ("Only Python. 3.", "code_only"),
        ("2", "reflective"),
        ("between 1, 2", "reflective"),
        ("", None),
        ("2 categories come to mind, and I cannot decide", None),
        ("The answer is 41.", None),
        ("Category 7.", None),
        ("one.", None),
        ("0/1", None),
    ],
)
def test_reflection_is_read_from_the_last_three_characters(reply, label):
    assert judges.read("reflection", reply) == label


@given(st.text(min_size=1))
def test_reflection_is_positive_exactly_where_the_paper_says(text):
    positive = judges.read("reflection", text) == "reflective"
    assert positive == ("2" in text.rstrip()[-3:])


@pytest.mark.parametrize(
    ("reply", "label"),
    [
        ("One task.\nclean", "clean"),
        ("Parts (a) and (b).\nmulti_part", "multi_part"),
        ("Two parts.\n**Multi-part**.", "multi_part"),
        ("The figure is missing.\nClass: noisy\n", "noisy"),
        ("clean", "clean"),
        ("This is clean.", None),
        ("It is not clean", None),
        ("clean\nor noisy, hard to say", None),
        ("clean or noisy", None),
        ("", None),
    ],
)
def test_a_question_is_sorted_by_the_word_alone_on_the_last_line(reply, label):
    assert judges.read("clean_question", reply) == label


def test_an_unknown_judge_gets_the_nearest_name():
    with pytest.raises(StudyError, match=r"judge 'reflexion' is unknown\n.*Did you mean 'reflection'"):
        judges.get("reflexion")
