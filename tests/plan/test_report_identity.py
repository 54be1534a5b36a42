"""What a report's key digests keeps its form: results made before are found done."""

from __future__ import annotations

from dataclasses import replace

from pipeline.plan.request.identity import digest_request
from pipeline.plan.request.shown import Shown
from pipeline.request.claims import CompiledClaim, Part
from pipeline.request.figures import FigureRequest, Published, TableRequest
from pipeline.request.metrics import (
    ACCURACY,
    TOKENS,
    Column,
    Condition,
    Conditional,
    Logged,
    OfSamples,
    RewardValue,
    TokenEfficiency,
    parse_metric,
)
from pipeline.request.quantities import Curve, Mean, Ratio, subtract
from pipeline.request.units import Unit

MADE_BEFORE = "355d4045dbe2"
"""Of these values when metrics were plain names in a request."""

TOKENS_COLUMN = Column(name="tokens")
REFLECTIVE = Conditional(
    name="mean tokens where reflects",
    statistic="mean",
    column=TOKENS_COLUMN,
    conditions=(Condition(column=Column(name="reflects", analysis="reflection"), wanted=True),),
)
COSINE = Conditional(
    name="sd cosine (max_len 9) where tokens 300–600",
    statistic="sd",
    column=RewardValue(reward="cosine", params={"max_len": 9}),
    conditions=(Condition(column=TOKENS_COLUMN, wanted=(300.0, 600.0)),),
)
UNIT = Unit(
    cell={"model": "a"}, replicate=0, seed=1, measure="m", policy="p", completions="c", scores="s",
    analyses={"reflection": "x"},
)  # fmt: skip
EFFECT = subtract(
    Ratio(
        top=Mean(metric=REFLECTIVE, units=(0,)),
        bottom=Mean(metric=OfSamples(statistic="pass", k=8, name="pass@08"), units=(0,)),
    ),
    Curve(column="reward", runs=(0,), last=9),
)
RANGE = Part(label="l", kind="between", effect=EFFECT, value=1.0, high=2.0, scale="ratio")
CONTRAST = Part(label="l", kind="above", left=(0,), right=(0,))
CLAIMS = (
    CompiledClaim(name="b", text="t", metric=REFLECTIVE, parts=(RANGE,)),
    CompiledClaim(
        name="a", text="u", metric=parse_metric("data.long.rows_out"), published="ours", parts=(CONTRAST,)
    ),
)
SHOWN = Shown(
    figures=(
        FigureRequest(name="f", title="F", caption="", kind="curve", x=TOKENS, y=(ACCURACY, COSINE)),
        FigureRequest(name="g", title="G", caption="", kind="curve", x="step", y=(Logged(column="kl"),)),
    ),
    tables=(
        TableRequest(name="t", title="T", caption="", rows=("model",), columns=(("", TokenEfficiency()),)),
    ),
    published=(
        Published(
            label="P", cell={"model": "a"}, metric=parse_metric("reflection.reflects"), value=0.5, source="T1"
        ),
    ),
)


def digest(claims=CLAIMS) -> str:
    return digest_request((UNIT,), claims, {metric.name: metric for metric in (REFLECTIVE, COSINE)}, SHOWN)


def test_a_report_of_every_form_is_named_as_before() -> None:
    assert digest() == MADE_BEFORE


def test_the_order_of_claims_changes_no_name_and_another_metric_does() -> None:
    assert digest(CLAIMS[::-1]) == digest()
    assert digest((replace(CLAIMS[0], metric=COSINE), CLAIMS[1])) != digest()
