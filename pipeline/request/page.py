"""What a report is asked to show: a plain, frozen description that the planner fills.

Guaranteed: `Request.from_plain(request.to_plain()) == request`, and equal requests give equal JSON.
Refused: unknown fields, a claim part that points at a unit that is not there.
Nothing here reads a file; artifacts are found later as `results/<stage>/<key>/`.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pipeline.errors import InputError
from pipeline.request.claims import CompiledClaim
from pipeline.request.figures import FigureRequest, Published, TableRequest
from pipeline.request.strict import Strict
from pipeline.request.units import DataNode, Run, Unit

if TYPE_CHECKING:
    from pydantic import TypeAdapter


@dataclass(frozen=True, kw_only=True)
class Request(Strict):
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
        plain: dict[str, Any] = _adapter().dump_python(self, mode="json")
        return plain

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
def _adapter() -> TypeAdapter[Request]:
    from pydantic import TypeAdapter

    return TypeAdapter(Request)
