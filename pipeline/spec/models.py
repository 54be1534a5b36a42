"""The words of a study file as strict, frozen models.

What stands here has the shape of the file. Levels and recipes stay mappings until inheritance and
`${factor}` references are resolved (`levels.py`); they are then validated by their stage's Config.
"""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from pipeline.prompt import Prompt
from pipeline.stages.score import ScoreConfig

NAME_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}")


def check_name(value: str) -> str:
    """A name that is safe as a path, as a shell word and in a report."""
    if not NAME_PATTERN.fullmatch(value) or ".." in value:
        raise ValueError(
            f"the name {value!r} is not safe as a path or shell word\n"
            "Use letters, digits and . _ + - after a letter or digit, at most 64."
        )
    return value


Name = Annotated[str, AfterValidator(check_name)]
Mapping_ = dict[str, Any]


class Model(BaseModel):
    """Frozen, strict, no unknown keys, no NaN."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Replicates(Model):
    """Seeds that repeat every cell; never a factor."""

    seeds: tuple[int, ...] = Field((0,), description="One replicate per seed.", min_length=1)
    vary: tuple[str, ...] = Field(
        ("train", "sample"),
        description="What a replicate's seed changes: train (order of data, rollouts), sample, subset (which rows).",
    )

    @model_validator(mode="before")
    @classmethod
    def _count(cls, value: Any) -> Any:
        if isinstance(value, bool) or not isinstance(value, int):
            return value
        if not 1 <= value <= 1000:
            raise ValueError(
                "the number of replicates must be between 1 and 1000\nWrite how often every cell is repeated."
            )
        return {"seeds": tuple(range(value))}

    @model_validator(mode="after")
    def _checked(self) -> Replicates:
        if len(set(self.seeds)) != len(self.seeds):
            raise ValueError("a seed is given twice; two equal seeds are one replicate")
        if min(self.seeds) < 0 or max(self.seeds) >= 2**31:
            raise ValueError("seeds must lie between 0 and 2147483647")
        unknown = set(self.vary) - {"train", "sample", "subset"}
        if unknown:
            raise ValueError(f"vary knows train, sample and subset, not {', '.join(sorted(unknown))}")
        return self


class SourceSpec(Model):
    """Where rows come from: exactly one of hub, dataset, benchmark, file, synthetic."""

    hub: str | None = Field(None, description="Data set on the hub, pinned by the lock file.", min_length=1)
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
                f"a source needs exactly one of hub, dataset, benchmark, file, synthetic; got {', '.join(kinds) or 'none'}\nKeep one of them."
            )
        if kinds == ["synthetic"]:
            if self.rows is None:
                raise ValueError("a synthetic source needs rows")
        elif self.rows is not None or self.params or self.seed:
            raise ValueError(
                "rows, seed and params of a source belong to synthetic sources; cut others with `rows` beside `source`"
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
                f"a data entry needs exactly one of {', '.join(kinds)}; got {', '.join(given) or 'none'}\nKeep one of them."
            )
        return self

    @property
    def made_by(self) -> str | None:
        """How a model makes these rows, if one does."""
        return next((kind for kind in MADE if getattr(self, kind) is not None), None)


Selector = dict[str, str | int | float | tuple[str | int | float, ...] | None]


class ClaimSpec(Model):
    """A statement that the data decide: a contrast of two groups of cells, or a group against a number."""

    text: str | None = Field(None, description="The claim in words, for the report.")
    metric: str = Field(
        "accuracy", description="accuracy, tokens, truncated, token_efficiency or ANALYSIS.column."
    )
    measure: str | None = Field(None, description="One measure; the macro mean over all when absent.")
    of: Selector = Field(description="The cells that the claim is about: factor: level (or levels), step: n.")
    above: Selector | None = Field(None, description="Claimed: of > these cells (differing factors only).")
    below: Selector | None = Field(None, description="Claimed: of < these cells (differing factors only).")
    by: float = Field(
        0.0, description="Margin of the difference; negative tolerates a loss (non-inferiority)."
    )
    times: float | None = Field(
        None, description="Compare with this multiple of the other side instead.", gt=0
    )
    at_least: float | None = Field(None, description="Claimed: of >= this number.")
    at_most: float | None = Field(None, description="Claimed: of <= this number.")
    where: Selector = Field({}, description="Restricts both sides.")
    for_each: tuple[str, ...] = Field((), description="Decide once per level of these factors.")
    published: str | None = Field(None, description="What the paper reports, shown beside the verdict.")

    @model_validator(mode="before")
    @classmethod
    def _one_factor(cls, value: Any) -> Any:
        if isinstance(value, dict) and isinstance(value.get("for_each"), str):
            return {**value, "for_each": (value["for_each"],)}
        return value

    @model_validator(mode="after")
    def _one_comparison(self) -> ClaimSpec:
        given = [k for k in ("above", "below", "at_least", "at_most") if getattr(self, k) is not None]
        if len(given) != 1:
            raise ValueError(
                f"a claim needs exactly one of above, below, at_least, at_most; got {', '.join(given) or 'none'}\nKeep one of them."
            )
        if given[0] in ("at_least", "at_most") and (self.by or self.times is not None):
            raise ValueError("by and times belong to above and below")
        if self.by and self.times is not None:
            raise ValueError("give by (a difference) or times (a ratio), not both")
        return self


class PublishedSpec(Model):
    """A number that a paper printed, to stand beside ours."""

    label: str = Field(description="What it is, as the paper says it.")
    cell: Selector = Field({}, description="The cells it belongs to.")
    measure: str | None = Field(None, description="The measure it belongs to.")
    metric: str = Field("accuracy", description="The metric it belongs to.")
    value: float = Field(description="The number, in our units (accuracy 0 to 1, tokens).")
    source: str = Field(description="Where it stands in the paper.")


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
    published: tuple[PublishedSpec, ...] = Field((), description="The paper's numbers, shown beside ours.")
