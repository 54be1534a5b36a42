"""What a report is asked to show: a plain, frozen description that the planner fills.

Guaranteed: `Request.from_plain(request.to_plain()) == request`, and equal requests give equal JSON.
Refused: unknown fields, a claim part that points at a unit that is not there, a part with no comparison.
Nothing here reads a file; artifacts are found later as `results/<stage>/<key>/`.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from pipeline.errors import InputError
from pipeline.request.quantities import Mean, Quantity, leaves
from pipeline.request.quantities import Strict as _Strict

Cell = Mapping[str, str]
Kind = Literal["above", "below", "at_least", "at_most", "between"]
Scale = Literal["difference", "level", "ratio", "ratio difference", "levels"]


@dataclass(frozen=True, kw_only=True)
class Unit(_Strict):
    """One measurement: a policy of one cell and replicate, measured on one benchmark."""

    cell: Cell
    replicate: int
    seed: int
    measure: str
    policy: str
    completions: str
    scores: str
    analyses: Mapping[str, str] = field(default_factory=dict)
    step: int | None = None


@dataclass(frozen=True, kw_only=True)
class Run(_Strict):
    """One training of one cell and replicate; cells that share it repeat its key."""

    cell: Cell
    replicate: int
    stage: str
    key: str


@dataclass(frozen=True, kw_only=True)
class DataNode(_Strict):
    """One data set artifact of the study; `inputs` are keys of other nodes, and the titles of policies."""

    name: str
    stage: str
    key: str
    inputs: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Part(_Strict):
    """One comparison of a claim.

    A plain one compares the means a of `left` and b of `right` (indices into Request.units):
    above: a > times·b + by;  below: a < times·b − by;  at_least: a ≥ value + by;  at_most: a ≤ value − by;
    between: value ≤ a ≤ high. Either `right` or `value` is given; with `value`, it stands in the place of
    times·b for every kind. Any other comparison holds an `effect` against `value` (and `high`) alike.
    """

    label: str
    kind: Kind
    left: tuple[int, ...] = ()
    right: tuple[int, ...] = ()
    by: float = 0.0
    times: float | None = None
    value: float | None = None
    high: float | None = None
    effect: Quantity | None = None
    scale: Scale = "difference"

    def __post_init__(self) -> None:
        if bool(self.left) == (self.effect is not None):
            raise InputError(
                f"claim part {self.label!r} is about no measurement, or about two things",
                "Give it either units on the left or an effect.",
            )
        if bool(self.right) == (self.value is not None):
            raise InputError(
                f"claim part {self.label!r} needs exactly one of other units and a value",
                "Give `right` or `value`.",
            )
        if (self.kind == "between") != (self.high is not None):
            raise InputError(f"claim part {self.label!r}: `high` belongs to between", "Give both or none.")

    @property
    def claims_larger(self) -> bool:
        """Whether the claim is that the left side lies above the threshold."""
        return self.kind in ("above", "at_least", "between")

    @property
    def threshold(self) -> float:
        """What the effect a − times·b (or a − value) is compared with."""
        return self.by if self.claims_larger else 0.0 - self.by

    @property
    def indices(self) -> tuple[int, ...]:
        """All units that the part is about."""
        below = () if self.effect is None else leaves(self.effect)
        return (*self.left, *self.right, *(i for q in below if isinstance(q, Mean) for i in q.units))


@dataclass(frozen=True, kw_only=True)
class CompiledClaim(_Strict):
    """A statement of the study with its comparisons, one per level of `for_each` and per neighbour of an order."""

    name: str
    text: str
    metric: str
    parts: tuple[Part, ...]
    published: str | None = None


@dataclass(frozen=True, kw_only=True)
class GivenMetric(_Strict):
    """A metric over a part of the responses: mean or sd of a column where the conditions hold.

    A condition is true, false or a closed range (low, high) of a column; `params` are a reward's.
    """

    statistic: Literal["mean", "sd"]
    column: str
    given: Mapping[str, bool | tuple[float, float]] = field(default_factory=dict)
    params: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Published(_Strict):
    """A number that a paper printed, in our units (shares from 0 to 1, tokens); no measure: mean of all.

    Where it is another work's (`is_ours` false), no cell of ours answers to it.
    """

    label: str
    cell: Cell
    metric: str
    value: float
    source: str
    measure: str | None = None
    step: int | None = None
    is_ours: bool = True


@dataclass(frozen=True, kw_only=True)
class FigureRequest(_Strict):
    """A declared figure: metrics `y` against a factor, `step` or a metric; no measures: the mean of all."""

    name: str
    title: str
    caption: str
    kind: Literal["curve", "bars"]
    x: str
    y: tuple[str, ...]
    lines: tuple[str, ...] = ()
    families: Mapping[str, Mapping[str, tuple[str, ...]]] = field(default_factory=dict)
    panels: str | None = None
    measures: tuple[str, ...] = ()
    where: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    baseline: Cell | None = None
    places: tuple[float, ...] = ()
    published: bool = False
    bands: Mapping[str, tuple[float, float]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class TableRequest(_Strict):
    """A declared table; columns are (measure or "", metric).

    Its rows are those of its `cells`: (factor → levels, steps); no steps: the end of training.
    """

    name: str
    title: str
    caption: str
    rows: tuple[str, ...]
    columns: tuple[tuple[str, str], ...]
    cells: tuple[tuple[Mapping[str, tuple[str, ...]], tuple[int, ...]], ...] = (({}, ()),)
    published: bool = True


@dataclass(frozen=True, kw_only=True)
class Request(_Strict):
    """Everything that the page of one study shows; factors, levels and measures in declared order."""

    study: str
    title: str
    question: str
    factors: Mapping[str, tuple[str, ...]]
    units: tuple[Unit, ...]
    cites: tuple[str, ...] = ()
    controls: Mapping[str, Any] = field(default_factory=dict)
    measures: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    runs: tuple[Run, ...] = ()
    datasets: tuple[DataNode, ...] = ()
    claims: tuple[CompiledClaim, ...] = ()
    published: tuple[Published, ...] = ()
    metrics: Mapping[str, GivenMetric] = field(default_factory=dict)
    figures: tuple[FigureRequest, ...] | None = None
    tables: tuple[TableRequest, ...] = ()

    def __post_init__(self) -> None:
        for claim in self.claims:
            for part in claim.parts:
                outside = [i for i in part.indices if not 0 <= i < len(self.units)]
                if outside:
                    raise InputError(
                        f"claim {claim.name!r}, part {part.label!r}: there is no unit {outside[0]}",
                        f"The request holds {len(self.units)} units, counted from 0.",
                    )

    def to_plain(self) -> dict[str, Any]:
        """The request as plain JSON values."""
        return _adapter().dump_python(self, mode="json")

    @staticmethod
    def from_plain(plain: Mapping[str, Any]) -> Request:
        """The request of plain JSON values; an InputError names every field that does not fit."""
        from pydantic import ValidationError

        try:
            return _adapter().validate_python(plain)
        except ValidationError as error:
            lines = [f"{'.'.join(str(p) for p in e['loc'])}: {e['msg']}" for e in error.errors()]
            raise InputError(
                "the report's request does not fit:\n" + "\n".join(lines),
                "Compile the study again: studyc plan SPEC.",
            ) from None


@functools.cache
def _adapter() -> Any:
    from pydantic import TypeAdapter

    return TypeAdapter(Request)
