"""What holds for every answer: markup changes no verdict, agreement has two directions, a perturbed gold is wrong."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.answers.compare import Undecided, compare, is_no_gold
from pipeline.answers.numbers import read_number, value_of
from pipeline.answers.reading import Algebra, read_answer
from pipeline.answers.unboxed import find_stated

INTEGERS = st.integers(-(10**30), 10**30)
FRACTIONS = st.fractions(max_denominator=10**12)
WRAPPERS = (
    "{}", "${}$", "\\({}\\)", "**{}**", "__{}__", "`{}`", "\\left({}\\right)", "[{}]", "({})", "{}.", "\\textbf{{{}}}", "\\mathrm{{{}}}",
    "= {}", "\\displaystyle {}", "<answer>{}</answer>", "< answer > {} </ answer >", "**${}$**", "\\text{{ {} }}", "\\,{}\\,", "\u200b{}",
)  # fmt: skip
STATEMENTS = (
    "The answer is {}.", "Answer:{}", "ANSWER: {}", "**Final Answer: {}**", "**Answer:** {}", "#### {}", "The final answer is **{}**.",
    "答案：{}", "答案是{}。", "Antwort: {}", "La réponse est {}.", "Respuesta: {}", "Ответ: {}", "उत्तर: {}", "<answer>{}</answer>",
)  # fmt: skip
TEXTS = st.one_of(
    INTEGERS.map(str),
    FRACTIONS.map(str),
    FRACTIONS.map(lambda f: rf"\frac{{{f.numerator}}}{{{f.denominator}}}"),
    st.sampled_from(["3:45 p.m.", "15:45", "2024-01-02", "1011_2", "(B)", "B", "DNE", "ellipse", r"\emptyset", "C, A, B", "1, 2",
                     "(1, 2)", r"\{1, 2\}", "20 dollars", "3 1/2", "3 4", "50\\%", r"0.\overline{3}", "Nf3", "xy", "x^2"]),
)  # fmt: skip


@given(value=FRACTIONS, other=FRACTIONS, wrapper=st.sampled_from(WRAPPERS), is_same=st.booleans())
@settings(max_examples=300, deadline=None)
def test_markup_changes_no_verdict(value, other, wrapper, is_same):
    answer = str(value if is_same else other)
    assert compare(str(value), answer) is (is_same or value == other)
    assert compare(str(value), wrapper.format(answer)) is (is_same or value == other)
    assert compare(wrapper.format(value), answer) is (is_same or value == other)


@given(value=FRACTIONS, statement=st.sampled_from(STATEMENTS))
@settings(max_examples=200, deadline=None)
def test_a_stated_answer_is_found(value, statement):
    found = find_stated("First 12, then 99.\n" + statement.format(value))
    assert found is not None and compare(str(value), found) is True


@given(one=TEXTS, other=TEXTS)
@settings(max_examples=400, deadline=None)
def test_what_is_decided_one_way_is_not_decided_otherwise_the_other_way(one, other):
    forth, back = compare(one, other), compare(other, one)
    assert isinstance(forth, Undecided) or isinstance(back, Undecided) or forth == back


@given(text=TEXTS)
@settings(max_examples=200, deadline=None)
def test_every_answer_that_is_no_algebra_agrees_with_itself(text):
    decision = compare(text, text)
    assert decision is True or isinstance(read_answer(text), Algebra)


@given(values=st.lists(st.integers(0, 99), min_size=2, max_size=6, unique=True), data=st.data())
@settings(max_examples=150, deadline=None)
def test_a_permuted_tuple_is_wrong_and_a_permuted_set_is_right(values, data):
    permuted = data.draw(st.permutations(values))
    one, other = ", ".join(map(str, values)), ", ".join(map(str, permuted))
    assert compare(f"({one})", f"({other})") is (permuted == values)
    assert compare(rf"\{{{one}\}}", rf"\{{{other}\}}") is True
    assert compare(one, other) is True


@given(letters=st.permutations("ABCDE"), other=st.permutations("ABCDE"))
@settings(max_examples=100, deadline=None)
def test_an_order_of_letters_is_its_order(letters, other):
    for gold in ("".join(letters), ", ".join(letters)):
        for answer in ("".join(other), ", ".join(other)):
            assert compare(gold, answer) is (letters == other)


@given(
    values=st.lists(st.integers(1, 99), min_size=2, max_size=4),
    spacing=st.sampled_from([" ", r"\ ", r"\quad ", "  "]),
)
@settings(max_examples=150, deadline=None)
def test_numbers_side_by_side_are_never_their_sum_or_product(values, spacing):
    run = spacing.join(map(str, values))
    product = 1
    for value in values:
        product *= value
    for number in {sum(values), product}:
        assert compare(str(number), run) is False
    assert compare(", ".join(map(str, values)), run) is True


@given(whole=st.integers(0, 10**6), part=st.fractions(0, 1, max_denominator=500).filter(lambda f: 0 < f < 1))
@settings(max_examples=150, deadline=None)
def test_a_mixed_number_is_the_sum(whole, part):
    total = whole + part
    for text in (
        f"{whole} {part}",
        rf"{whole}\frac{{{part.numerator}}}{{{part.denominator}}}",
        rf"{whole}\ {part}",
    ):
        assert compare(str(total), text) is True
        assert compare(text, str(total)) is True
        assert compare(str(total + 1), text) is False


@given(exponent=st.integers(20, 10**9), sign=st.sampled_from([-1, 1]))
@settings(max_examples=100, deadline=None)
def test_exact_numbers_are_compared_exactly_at_every_size(exponent, sign):
    power = f"2^{{{sign * exponent}}}"
    assert compare(f"1-{power}", rf"1-\frac{{2^{{{sign * exponent + 1}}}}}{{2}}") is True
    assert compare(f"1-{power}", f"1-2^{{{sign * exponent + 1}}}") is False
    assert compare(power, f"{power}+{power}") is False


@given(value=FRACTIONS, base=st.integers(2, 36))
@settings(max_examples=100, deadline=None)
def test_a_repeating_decimal_is_its_fraction(value, base):
    value = abs(value) % 1
    denominator = 10 ** (base % 6 + 1) - 1
    numerator = int(value * denominator)
    period = str(numerator).zfill(len(str(denominator)))
    number = read_number(rf"0.\overline{{{period}}}")
    assert number is not None and value_of(number) == Fraction(numerator, denominator)
    assert compare(f"{numerator}/{denominator}", f"0.({period})") is True


@given(text=st.text(max_size=80))
@settings(max_examples=300, deadline=None)
def test_no_text_is_too_strange_to_be_read(text):
    read_answer(text)
    compare("5", text)
    compare(text, "5")
    find_stated("The answer is " + text)
    is_no_gold(text)


@pytest.mark.parametrize(
    "text",
    ["9" * 400, "{" * 400, "(" * 399, "1 " * 200, "1," * 200, r"\frac" * 80, "-" * 400, "a b " * 100, "2^" * 200, "9^9^9^9^9^9", "1" + "/2" * 150,
     "2^{" * 100 + "2" + "}" * 100, "(((1)))" * 50, r"\text{" * 60, "5 and " * 60, "x of " * 90, "** " * 130],
)  # fmt: skip
def test_no_text_takes_long(text):
    import time

    started = time.process_time()
    for gold, answer in (("5", text), (text, "5"), (text, text)):
        compare(gold, answer)
    find_stated("The answer is " + text)
    assert time.process_time() - started < 1
