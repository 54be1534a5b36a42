"""Named training sets, one file each, and how the columns of any source become ours.

Every entry module defines `ENTRY`; its file name is the set's name. A set may come in several
configurations (an `Origin` each): OpenR1's `default` and `extended`, SimpleRL-Zoo's levels.
Importing this package or an entry loads no data library.

Our columns: `id` (text, unique), `problem`, `answer` (the gold answer), `solution` (the response
that is trained on), and whatever else the source carries. Refused: an unknown name, with the nearest one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import field_validator, model_validator

from pipeline.catalogue import Catalogue
from pipeline.errors import StudyError, suggest
from pipeline.fingerprint import Config, content

OURS = ("id", "problem", "answer", "solution")
"""The columns that every data set has, in their order."""

Column = str | tuple[str, ...]
"""A source column: its name, `outer.inner` for a field of a struct, `name?` where it may be missing,
or several names of which the first that exists is read."""

GoldRule = Literal["as_is", "after_hashes", "last_boxed", "first_of_list", "number", "integer"]


class FieldMap(Config):
    """Which source columns become id, problem, answer and solution, and how the gold answer is read.

    gold: `after_hashes` takes the text after the last `####` (GSM8K); `last_boxed` the content of the
    last \\boxed{} (Minerva); `first_of_list` the first element (OlympiadBench; text is taken as it is);
    `number` and `integer` write 27.0 as 27 (AMC, SVAMP) and refuse what is none.
    """

    id: Column | None = content("id?", describe="Column of unique ids; else made from the problem's text.")
    problem: Column = content("problem", describe="Column of the problem's text.")
    body: Column | None = content(None, describe="Column put before the problem as a sentence (SVAMP).")
    template: str | None = content(
        None,
        describe="Text of the problem made from {columns} instead; a part in [[ ]] is left out where one of "
        "its columns is empty; lists are joined by commas (TabMWP).",
    )
    answer: Column | None = content(
        "answer", describe="Column that the gold answer is read from; null where there is none."
    )
    gold: GoldRule = content("as_is", describe="How the gold answer is read from that column.")
    unwrap_math: bool = content(False, describe="Take the dollar signs off a gold that is one formula.")
    gold_in_problem: bool = content(
        False, describe="Where the gold is blank and the problem ends in 'Answer: …', move it from there."
    )
    golds: dict[str, str] = content(
        {}, describe="Gold answers that the grader cannot read as they stand, and how it can."
    )
    solution: Column | None = content("solution?", describe="Column of the response that is trained on.")
    extra: tuple[str, ...] | None = content(None, describe="Further columns kept; all when absent.")
    missing: Literal["refuse", "drop", "keep"] = content(
        "refuse", describe="Rows without a gold answer: stop, drop and count them, or keep them (no gold)."
    )

    @field_validator("extra")
    @classmethod
    def _are_not_ours(cls, value: tuple[str, ...] | None) -> tuple[str, ...] | None:
        for column in value or ():
            if column.removesuffix("?").split(".")[-1] in OURS:
                raise ValueError(
                    f"the extra column {column!r} would take the name of one of ours ({', '.join(OURS)})\n"
                    "Leave it out; those four are always kept."
                )
        return value


class RowCondition(Config):
    """A row is kept when this source column equals a value or contains a text."""

    column: Column = content(describe="Source column that decides.")
    equals: str | int | float | bool | None = content(None, describe="Value that the column must have.")
    contains: str | None = content(None, describe="Text that must occur in the column.")

    @model_validator(mode="after")
    def _one_test(self) -> RowCondition:
        if (self.equals is None) == (self.contains is None):
            raise ValueError("a row condition needs either equals or contains")
        return self


class HubSource(Config):
    """A split of a data set on the hub."""

    name: str = content(describe="Owner and name on the hub.")
    config: str | None = content(None, describe="Configuration; the set's default when absent.")
    split: str = content("train", describe="Split, or several joined by +.")
    files: tuple[str, ...] | None = content(
        None, describe="Only these files of the repository make the split."
    )
    revision: str | None = content(None, describe="Commit of the repository; `studyc pin` writes it.")


class SyntheticSource(Config):
    """Rows made by a generator of the catalogue."""

    generator: str = content(describe="Name of the generator.")
    rows: int = content(describe="Rows to make.", ge=1)
    seed: int = content(0, describe="Seed of the generator.", ge=0)
    params: dict[str, Any] = content({}, describe="The generator's own parameters, validated by its model.")


@dataclass(frozen=True)
class Origin:
    """One configuration of a set: where its rows come from and how many remain after mapping."""

    hub: HubSource | None = None
    synthetic: SyntheticSource | None = None
    rows: int | None = None
    row_filter: tuple[RowCondition, ...] = ()
    fields: FieldMap | None = None

    def __post_init__(self) -> None:
        if (self.hub is None) == (self.synthetic is None):
            raise ValueError("an origin is either a set of the hub or a generator's")

    @property
    def place(self) -> str:
        """Where the rows come from, in words."""
        if self.hub is not None:
            return self.hub.name
        assert self.synthetic is not None  # see __post_init__
        return f"generator {self.synthetic.generator}"


@dataclass(frozen=True)
class DatasetEntry:
    """A named data set: its configurations (the first is the default), its fields, where it is described."""

    doc: str
    origins: Mapping[str, Origin]
    fields: FieldMap
    licence: str
    cites: str
    notes: tuple[str, ...] = field(default=())

    def origin(self, config: str | None = None) -> Origin:
        """The configuration of this name; the first when none is named."""
        if config is None:
            return next(iter(self.origins.values()))
        if config not in self.origins:
            raise StudyError(
                f"there is no configuration {config!r} of this set", suggest(config, self.origins)
            )
        return self.origins[config]

    def fields_of(self, config: str | None = None) -> FieldMap:
        """The field map of one configuration."""
        return self.origin(config).fields or self.fields


_catalogue = Catalogue("pipeline.datasets", __path__, "data set")
names = _catalogue.names


def get(name: str) -> DatasetEntry:
    """The entry of one named training set."""
    return _catalogue.module(name).ENTRY


def describe(name: str) -> str:
    """What the set is, its configurations with their row counts, its licence and its source."""
    return describe_entry(name, get(name))


def seeded_key(name: str, seed: int) -> int:
    """A 64-bit number that depends on the seed and a row's id alone (BLAKE2b): the order of random choices."""
    return int.from_bytes(hashlib.blake2b(f"{seed}:{name}".encode(), digest_size=8).digest(), "big")


def describe_entry(name: str, entry: DatasetEntry) -> str:
    """The description of an entry as text, one fact per line."""
    lines = [f"{name}: {entry.doc}"]
    for config, origin in entry.origins.items():
        lines.append(
            f"  {config}: {origin.place}, {origin.rows if origin.rows is not None else 'unknown'} rows"
        )
    lines += [
        f"  licence: {entry.licence}",
        f"  source: {entry.cites}",
        *(f"  note: {n}" for n in entry.notes),
    ]
    return "\n".join(lines)
