"""Identity: what is in a fingerprint, what is not, and what is refused."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import StudyError
from pipeline.fingerprint import Config, canonical_json, content, placement, to_plain

PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**40), 2**40)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


class Sample(Config):
    """A configuration of both kinds."""

    rows: int = content(describe="Rows.")
    rate: float = content(0.5, describe="Rate.")
    gpus: int = placement(1, describe="GPUs.")


def test_defaults_and_placement_are_no_part_of_an_identity() -> None:
    assert Sample(rows=3).identity() == {"rows": 3}
    assert Sample(rows=3, rate=0.5, gpus=8).identity() == {"rows": 3}
    assert Sample(rows=3, rate=0.25).identity() == {"rows": 3, "rate": 0.25}


def test_a_required_field_is_always_part_of_it() -> None:
    assert "rows" in Sample(rows=0).identity()


@given(st.dictionaries(st.text(max_size=8), PLAIN, max_size=6))
def test_key_order_never_matters(value: dict) -> None:
    turned = dict(reversed(list(value.items())))
    assert canonical_json(value) == canonical_json(turned)


@given(PLAIN)
def test_canonical_json_is_a_fixed_point(value) -> None:
    assert to_plain(to_plain(value)) == to_plain(value)


def test_a_whole_float_is_its_integer() -> None:
    assert canonical_json({"a": 1.0}) == canonical_json({"a": 1}) == '{"a":1}'


@pytest.mark.parametrize("value", [math.nan, math.inf, print, object(), {1, 2}, b"x"])
def test_what_has_no_stable_identity_is_refused_with_the_remedy(value) -> None:
    with pytest.raises(StudyError, match="no stable identity") as caught:
        to_plain({"a": [value]})
    assert caught.value.remedy


def test_every_stage_field_says_whether_it_is_content_or_placement() -> None:
    from pipeline import stages
    from tests.support.models import config_models

    models = [model for name in stages.NAMES for model in config_models(stages.load(name).Config)]
    assert len(models) > 15
    for model in models:
        for name, field in model.model_fields.items():
            extra = field.json_schema_extra or {}
            assert extra.get("role") in ("content", "placement"), f"{model.__name__}.{name}"
            assert field.description, f"{model.__name__}.{name} lacks a description"


def test_a_nested_configuration_that_differs_in_placement_alone_is_left_out() -> None:
    class Inner(Config):
        """A nested configuration."""

        rule: int = content(1, describe="Decides.")
        workers: int = placement(1, describe="How fast.")

    class Outer(Config):
        """Holds it."""

        inner: Inner = content(Inner(), describe="Nested.")

    assert Outer(inner=Inner(workers=8)).identity() == {}
    assert Outer(inner=Inner(rule=2, workers=8)).identity() == {"inner": {"rule": 2}}
