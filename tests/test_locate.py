"""YAML with positions: values, places, and everything that is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import InputError, SpecErrors
from pipeline.locate import parse_yaml, read_yaml


def problems(text: str) -> list[str]:
    with pytest.raises(SpecErrors) as caught:
        parse_yaml(text, "s.yaml")
    return [str(problem).splitlines()[0] for problem in caught.value.problems]


def test_values_follow_yaml_1_2() -> None:
    value = parse_yaml("a: [1, 8_000, 5e-5, .5, no, on, ~, '1', true, 2026-11-21, 010, -3]", "s.yaml").value
    assert value == {"a": (1, 8000, 5e-5, 0.5, "no", "on", None, "1", True, "2026-11-21", 10, -3)}


def test_every_value_and_key_has_its_place() -> None:
    document = parse_yaml("a: 1\nb:\n  - x\n  - {c: [2, 3]}\n", "s.yaml")
    assert str(document.locate(("b", 1, "c", 1))) == "s.yaml:4:13"
    assert str(document.locate(("b", 1, "c"), key=True)) == "s.yaml:4:6"
    assert str(document.locate(("b", 7, "nothing"))) == "s.yaml:3:3"


def test_duplicate_keys_are_refused_at_every_depth_all_at_once() -> None:
    assert problems("a: 1\nb: {c: 1, c: 2}\na: 2\n") == [
        "s.yaml:2:11: the key 'c' is written twice (first in line 2)",
        "s.yaml:3:1: the key 'a' is written twice (first in line 1)",
    ]


def test_aliases_that_explode_are_refused() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 9)]
    assert "aliases expand to more than" in problems("\n".join(lines))[0]


def test_an_alias_that_contains_itself_is_refused() -> None:
    assert "nested too deep" in problems("a: &a [*a]\n")[0]


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (
            "a: !!python/object/apply:os.system [x]",
            "the tag 'tag:yaml.org,2002:python/object/apply:os.system' is not allowed",
        ),
        ("<<: {a: 1}", "the merge key '<<' is not allowed"),
        ("[a, b]: 1", "a key must be plain text"),
        ("", "the file is empty"),
        ("a: 1\n---\nb: 2\n", "a second YAML document starts here"),
        ("a: b: c", "not valid YAML: mapping values are not allowed in this context"),
        ("a:\n\t- b", "not valid YAML"),
        ("a: [1, 2", "not valid YAML"),
        ("a: 1\nb:2\nc: 3\n", "s.yaml:2:1: not valid YAML: a key without a value"),
        ("a: 1\nb: 'two\nc: 3\n", "s.yaml:2:4: not valid YAML: the quote that opens here never closes"),
        ("a: {b:1, c: 2}", "s.yaml:1:5: the key 'b:1' has no value"),
        (f"a: {'9' * 5000}", "9999… is too large"),
        ("a: \x07", "a character that YAML does not allow"),
    ],
)
def test_what_is_refused_is_one_clear_problem(text: str, what: str) -> None:
    found = problems(text)
    assert len(found) == 1
    assert what in found[0]
    assert found[0].startswith("s.yaml:")


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("a:\n\t- b", "Indent with spaces, not with tabs."),
        ("a: @b", "Quote the value that starts with @."),
        ("a: [1, 2\nb: 3\n", "Close the [ of line 1, or write the comma that is missing."),
        ("a:\n  b: {c: 1\nd: 3\n", "Close the { of line 2, or write the comma that is missing."),
        ("a: 1\nb:2\nc: 3\n", "Write `key: value`, with a plain space after the colon."),
    ],
)
def test_syntax_errors_have_the_remedy_that_fits(text: str, remedy: str) -> None:
    with pytest.raises(SpecErrors) as caught:
        parse_yaml(text, "s.yaml")
    assert [problem.remedy for problem in caught.value.problems] == [remedy]


def test_unreadable_files_say_what_and_what_to_do(tmp_path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_yaml(tmp_path / "none.yaml")
    with pytest.raises(InputError, match="is a folder"):
        read_yaml(tmp_path)
    (tmp_path / "latin.yaml").write_bytes(b"a: \xe9\n")
    with pytest.raises(InputError, match="not UTF-8"):
        read_yaml(tmp_path / "latin.yaml")


@given(st.text(max_size=200))
def test_no_text_gives_a_traceback(text: str) -> None:
    try:
        parse_yaml(text, "s.yaml")
    except SpecErrors as error:
        assert error.problems
