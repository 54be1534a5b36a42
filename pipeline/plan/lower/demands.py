"""What lowering can be asked for: frozen values, each answered by one rule (`rules.py`) and remembered.

A demand holds all that decides its answer and is compared by it; a field that only errors or titles need is left
out of the comparison, so that the first who asks is named.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, NamedTuple, TypeVar

from pipeline.errors import Location
from pipeline.fingerprint import Config
from pipeline.plan.cells import Cell
from pipeline.plan.lower.answers import Judge, Model, Protocol, Rows, Training, Words

T = TypeVar("T")


class Demand(Generic[T]):
    """A question that `Resolver.get` answers with a T, or with None after noting what is wrong."""

    __slots__ = ()

    @property
    def subject(self) -> Hashable:
        """What cannot be needed for its own answer."""
        return self


class At(NamedTuple):
    """Who asks for what the study's own policies make: a cell, and what its replicate's seed changes."""

    cell: Cell
    seed: int
    shift: int = 0
    """Added to the seeds of subsets."""


@dataclass(frozen=True, slots=True)
class References:
    """The values of a level's `${…}` in a cell; compared as text, since 1 and true are equal and not the same."""

    text: str
    values: Mapping[str, Any] = field(compare=False)


@dataclass(frozen=True, slots=True)
class _OfName(Demand[T]):
    name: str


@dataclass(frozen=True, slots=True)
class _OfEntry(Demand[T]):
    name: str
    at: At | None = None


@dataclass(frozen=True, slots=True)
class _OfLevel(Demand[T]):
    factor: str
    level: str
    references: References


class ModelOf(_OfLevel[Model]):
    """The model that a level of the factor `model` names."""

    __slots__ = ()


class OutsideModel(_OfName[Model]):
    """The model from outside that an entry of `policies` names."""

    __slots__ = ()


class TrainingOf(_OfLevel[Training]):
    """The recipe of a level of a training factor."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class ProtocolOf(Demand[Protocol]):
    """The sampling protocol of a measure."""

    measure: str
    references: References


@dataclass(frozen=True, slots=True)
class BaseModel(Demand[str]):
    """The artifact of a model from outside."""

    model: ModelOf | OutsideModel
    title: str


class Step(NamedTuple):
    """One training of a cell: its recipe and the rows that it asks for (None where it is broken), and its title."""

    recipe: Training | None
    rows: FirstRows | None
    title: str


class Chain(NamedTuple):
    """A cell's base model and trainings, the same for all its replicates."""

    base: str
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class CellChain(Demand[Chain]):
    """What a cell trains: all of its levels, or only those of some factors."""

    cell: Cell
    trainings: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class OwnPolicy(Demand[str]):
    """The policy of a cell's replicate after these trainings only, for data that it makes."""

    at: At
    trainings: frozenset[str]


@dataclass(frozen=True, slots=True)
class CheckpointConfig(Demand[Config]):
    """The configuration of a checkpoint of all runs that share a configuration (by its index in the graph)."""

    run: int
    step: int


class PolicyLevels(_OfName[Mapping[str, str]]):
    """The levels that a policy of the study itself, `{of: {factor: level}}`, names."""

    __slots__ = ()


class JudgeNamed(_OfName[Judge]):
    """An entry of `judges`."""

    __slots__ = ()


class DataEntry(_OfEntry[Rows]):
    """The rows of a data entry: for one asker where the study's own policies make them, else for all."""

    __slots__ = ()

    @property
    def subject(self) -> Hashable:
        """The entry: that it asks for itself for another cell is a circle, too."""
        return (DataEntry, self.name)


class Benchmark(_OfName[Rows]):
    """The problems of a benchmark of the catalogue."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class FirstRows(Demand[Rows]):
    """The first `rows` of a data entry or of `benchmark:NAME` in its seeded order; all of them when None."""

    name: str
    rows: int | None
    shift: int = 0
    """Added to the seed of that order."""
    at: At | None = None
    where: Location = field(compare=False, kw_only=True)


@dataclass(frozen=True, slots=True)
class Subset(Demand[Rows]):
    """The first rows of a data set in a seeded order."""

    whole: str
    rows: int
    seed: int
    of: Rows = field(compare=False)
    name: str = field(compare=False)
    """The data entry, or the benchmark, whose rows they are."""
    where: Location = field(compare=False)


class Attempts(_OfEntry[Rows]):
    """What a policy wrote for an entry made by rejection or dialogue, before rows are made of it."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class ModelWords(Demand[Words]):
    """The words of an entry that a model makes (by its kind), or of one of its filters that needs a model."""

    entry: str
    kind: str
    filter: int | None = None
    """The filter's place among the entry's."""


@dataclass(frozen=True, slots=True)
class ModelConfigs(Demand[tuple[Config, ...]]):
    """The configurations of the stages that those words are shared out to."""

    words: ModelWords
