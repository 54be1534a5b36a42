"""What a study makes that a report speaks of: measurements, trainings, data sets, each named by its artifact's key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pipeline.request.strict import Strict

Cell = Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Unit(Strict):
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
class Run(Strict):
    """One training of one cell and replicate; cells that share it repeat its key."""

    cell: Cell
    replicate: int
    stage: str
    key: str


@dataclass(frozen=True, kw_only=True)
class DataNode(Strict):
    """One data set artifact of the study; `inputs` are keys of other nodes, and the titles of policies."""

    name: str
    stage: str
    key: str
    inputs: tuple[str, ...] = ()
