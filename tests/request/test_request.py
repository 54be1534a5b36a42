"""The request: a lossless, strict description."""

from __future__ import annotations

import json

import pytest

from pipeline.errors import InputError
from pipeline.request.request import CompiledClaim, Part, Request
from tests.support.synthetic import make_valley


@pytest.fixture(scope="module")
def request_(tmp_path_factory) -> Request:
    return make_valley(tmp_path_factory.mktemp("results"), is_done=lambda unit: False)


def test_a_request_survives_json(request_):
    assert Request.from_plain(json.loads(json.dumps(request_.to_plain()))) == request_


def test_levels_and_factors_keep_their_declared_order(request_):
    again = Request.from_plain(json.loads(json.dumps(request_.to_plain())))
    assert list(again.factors.items()) == list(request_.factors.items())


def test_an_unknown_field_is_refused_by_name(request_):
    plain = request_.to_plain()
    plain["units"][3]["colour"] = "red"
    with pytest.raises(InputError, match=r"units\.3\.colour"):
        Request.from_plain(plain)


def test_a_claim_about_a_unit_that_is_not_there_is_refused():
    part = Part(label="x", kind="at_least", left=(7,), value=0.5)
    claim = CompiledClaim(name="c", text="", metric="accuracy", parts=(part,))
    with pytest.raises(InputError, match="there is no unit 7"):
        Request(study="s", title="", question="", factors={}, units=(), claims=(claim,))
