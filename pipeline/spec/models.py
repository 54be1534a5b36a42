"""The words of a study file as strict, frozen models.

What stands here has the shape of the file. Levels and recipes stay mappings until inheritance and
`${factor}` references are resolved (`levels.py`); they are then validated by their stage's Config.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from pipeline.errors import shown
from pipeline.prompt import Prompt
from pipeline.spec.base import HubName, Model, Name, Selector
from pipeline.spec.claims import ClaimSpec
from pipeline.spec.figures import FigureSpec, PublishedSpec, TableSpec
from pipeline.stages.score import ScoreConfig

Mapping_ = dict[str, Any]


class Replicates(Model):
    """Seeds that repeat every cell; never a factor."""

    seeds: tuple[Annotated[int, Field(ge=0, lt=2**31)], ...] = Field(
        (0,), description="One replicate per seed.", min_length=1
    )
    vary: tuple[Literal["train", "sample", "subset"], ...] = Field(
        ("train", "sample"),
        description="What a replicate's seed changes: train (order of data, rollouts), sample, subset (which rows).",
    )

    @model_validator(mode="before")
    @classmethod
    def _count(cls, value: Any) -> Any:
        if isinstance(value, dict):
            return value
        if isinstance(value, bool) or not isinstance(value, int):
            what = "it is empty" if value is None else f"{shown(value)} is no number of replicates"
            raise ValueError(f"{what}\nWrite a whole number, e.g. 3, or {{seeds: [0, 1, 2]}}.")
        if not 1 <= value <= 1000:
            raise ValueError(
                "the number of replicates must be between 1 and 1000\nWrite how often every cell is repeated."
            )
        return {"seeds": tuple(range(value))}

    @model_validator(mode="after")
    def _checked(self) -> Replicates:
        if len(set(self.seeds)) != len(self.seeds):
            raise ValueError(
                "a seed is given twice; two equal seeds are one replicate\nRemove one of the two."
            )
        if len(self.seeds) > 1 and not self.vary:
            raise ValueError(
                f"{len(self.seeds)} replicates that vary nothing are one\n"
                "Name what their seeds change in vary: train, sample, subset."
            )
        return self


SOURCE_WORDS = {
    "config": ("hub", "dataset", "benchmark", "file"),
    "split": ("hub", "file"),
    "fields": ("hub", "dataset", "benchmark", "file"),
    "rows": ("synthetic",),
    "seed": ("synthetic",),
    "params": ("synthetic",),
    "local": ("hub", "dataset", "benchmark"),
}
"""Words of a source → the kinds of source that heed them; elsewhere they would be silently ignored."""


class SourceSpec(Model):
    """Where rows come from: exactly one of hub, dataset, benchmark, file, synthetic."""

    hub: HubName | None = Field(None, description="Data set on the hub, pinned by the lock file.")
    dataset: str | None = Field(
        None, description="Name in the data set catalogue (hub name and fields known)."
    )
    benchmark: str | None = Field(None, description="Name in the benchmark catalogue.")
    file: str | None = Field(
        None, description="JSONL, JSON or Parquet file, or a folder in the hub's layout.", min_length=1
    )
    synthetic: str | None = Field(None, description="Name of a generator.")
    config: str | None = Field(None, description="Configuration of a hub data set.")
    split: str | None = Field(None, description="Split of a hub data set.")
    fields: dict[str, Any] | None = Field(
        None, description="Which source fields are id, problem, answer, solution."
    )
    rows: int | None = Field(None, description="Rows to generate (synthetic only).", ge=1)
    seed: int = Field(0, description="Seed of the generator (synthetic only).", ge=0)
    params: dict[str, Any] = Field({}, description="Parameters of the generator (synthetic only).")
    local: str | None = Field(None, description="Read this offline copy instead of the hub (placement).")

    @model_validator(mode="after")
    def _exactly_one(self) -> SourceSpec:
        kinds = [
            k for k in ("hub", "dataset", "benchmark", "file", "synthetic") if getattr(self, k) is not None
        ]
        if len(kinds) != 1:
            raise ValueError(
                f"a source needs exactly one of hub, dataset, benchmark, file, synthetic; got {', '.join(kinds) or 'none'}\n"
                f"{'Keep one of them.' if kinds else 'Name one of them.'}"
            )
        kind = kinds[0]
        if kind == "synthetic" and self.rows is None:
            raise ValueError("a synthetic source needs rows\nAdd rows: the number to generate.")
        for word in self.model_fields_set - {kind}:
            if getattr(self, word) is not None and kind not in SOURCE_WORDS.get(word, (kind,)):
                known = " or ".join(SOURCE_WORDS[word])
                remedy = {
                    "rows": "Cut with `rows` beside `source`.",
                    "split": "Remove it, or name the set by `hub`.",
                }
                raise ValueError(
                    f"{word} belongs to {known} sources, not to {kind}\n{remedy.get(word, 'Remove it.')}"
                )
        return self


class MixPart(Model):
    """One ingredient of a mixture."""

    data: str = Field(description="Name of a data entry.")
    rows: int | None = Field(None, description="Rows taken; all when absent.", ge=1)


MADE = {
    "sampled": ("sample", "synthesise"),
    "rejection": ("solve", "synthesise"),
    "dialogue": ("dialogue", "synthesise"),
    "compressed": ("compress",),
}
"""Kinds of rows that a model makes → the stages whose settings are their words (plan/made.py)."""

SET_BY_ENTRY = ("seed", "score")
"""Settings of those stages that the data entry and the study give, not the mapping."""


class DataSpec(Model):
    """A named set of rows: from a source, a mixture or a model, filters in order, and a cut."""

    source: SourceSpec | None = Field(None, description="Where the rows come from.")
    mix: tuple[MixPart, ...] | None = Field(
        None, description="Other data entries, with their shares.", min_length=1
    )
    sampled: Mapping_ | None = Field(
        None,
        description="Correct responses of a policy: {problems, policy, samples, …, per_problem, marker}.",
    )
    rejection: Mapping_ | None = Field(
        None,
        description="Rejection sampling in rounds that go on with the unsolved: {problems, policy, rounds, …}.",
    )
    dialogue: Mapping_ | None = Field(
        None,
        description="Self-correction dialogues as long chains: {problems, policy, …, keep_classes, balance}.",
    )
    compressed: Mapping_ | None = Field(
        None,
        description="Solutions of another entry, compressed (TokenSkip): {data, compressor, keep_rates, …}.",
    )
    filters: tuple[str | dict[str, Any], ...] = Field(
        (), description="Filters in order: NAME or {NAME: parameters}."
    )
    rows: int | None = Field(None, description="Keep so many rows, chosen by the seed.", ge=1)
    seed: int = Field(0, description="Seed of the order in which subsets are nested.", ge=0)

    @model_validator(mode="after")
    def _one_origin(self) -> DataSpec:
        kinds = ("source", "mix", *MADE)
        given = [kind for kind in kinds if getattr(self, kind) is not None]
        if len(given) != 1:
            raise ValueError(
                f"a data entry needs exactly one of {', '.join(kinds)}; got {', '.join(given) or 'none'}\n"
                f"{'Keep one of them.' if given else 'Name one of them.'}"
            )
        return self

    @property
    def made_by(self) -> str | None:
        """How a model makes these rows, if one does."""
        return next((kind for kind in MADE if getattr(self, kind) is not None), None)

    @property
    def words(self) -> Mapping_:
        """What is said of how a model makes these rows; nothing where none does."""
        return self.sampled or self.rejection or self.dialogue or self.compressed or {}


class Spec(Model):
    """A study file."""

    study: Name = Field(description="The study's name; names its report.")
    title: str | None = Field(None, description="Heading of the report.")
    question: str | None = Field(None, description="The question that the study answers.")
    cites: tuple[str, ...] = Field((), description="Papers that the study follows, e.g. arXiv:2506.07712.")
    replicates: Replicates = Field(Replicates(), description="A number, or {seeds: […], vary: […]}.")
    data: dict[Name, DataSpec] = Field({}, description="Named sets of rows.")
    policies: dict[Name, str | Mapping_] = Field(
        {},
        description="Models that make data or judge: a hub name, {path: FOLDER}, {tiny: …}, or {of: {factor: level}}, "
        "the study's own policy in a cell with these levels and no later training.",
    )
    recipes: dict[Name, Mapping_] = Field(
        {}, description="Settings that levels and measures inherit with `inherits: NAME`."
    )
    factors: dict[Name, dict[Name, Any] | tuple[Any, ...]] = Field(
        description="Factors and their levels.", min_length=1
    )
    chain: tuple[str | dict[str, str], ...] | None = Field(
        None,
        description="Order of the training factors: names, or {NAME: sft|rl}; [model, sft, rl] when absent.",
    )
    cells: tuple[Selector, ...] = Field(
        ({},), description="Which combinations exist; every one when absent.", min_length=1
    )
    prompt: Prompt = Field(
        Prompt(), description="How a problem becomes a prompt, unless a level or measure says otherwise."
    )
    sampling: Mapping_ = Field({}, description="Settings that all measures start from.")
    measure: dict[Name, Mapping_ | None] = Field(
        description="Measures: benchmark or data × sampling protocol.", min_length=1
    )
    score: ScoreConfig = Field(ScoreConfig(), description="How responses are graded.")
    judges: dict[Name, Mapping_] = Field(
        {},
        description="Models that label texts: settings of stage judge, and for a local engine the policy that answers.",
    )
    analyses: tuple[str | dict[str, Any], ...] = Field(
        (), description="Text analyses of the responses: NAME, or {NAME: parameters}; some name a judge."
    )
    claims: dict[Name, ClaimSpec] = Field({}, description="Statements that the data decide.")
    figures: dict[Name, FigureSpec] | None = Field(
        None, description="The report's figures; one per factor and one of the checkpoints when absent."
    )
    tables: dict[Name, TableSpec] = Field({}, description="Tables of cells by measures, beside the paper's.")
    published: tuple[PublishedSpec, ...] = Field((), description="The paper's numbers, shown beside ours.")
