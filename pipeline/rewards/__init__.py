"""Rewards, one file each, with the formula and where it comes from.

A reward module has `Params` (a fingerprint.Config), `NAME`, `FORMULA`, `SOURCE`, `DOC` and

    make(params) -> score(rollouts: Rollouts) -> list[float | None]     None: no opinion, TRL skips it

`build` wraps it in the signature that TRL calls. The gold answer is the column `answer`, or `solution`
(open-r1's name) where there is no such column. `NEEDS_END = True` says that the reward asks which rollouts
were cut off; `GROUPED = True` that it compares the rollouts of one prompt. Nothing heavy is imported here;
the grader's process starts at the first call of a reward that grades.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from pipeline.catalogue import Catalogue
from pipeline.errors import StudyError
from pipeline.fingerprint import Config, canonical_json
from pipeline.rewards._rollouts import Rollouts, text_of

Reward = Callable[..., "list[float | None]"]

_catalogue = Catalogue("pipeline.rewards", __path__, "reward")
names = _catalogue.names
get = _catalogue.module
params_model = _catalogue.params_model


@dataclass(frozen=True)
class Description:
    """What a reward says of itself; `params` are (name, meaning, default as text or "required")."""

    name: str
    doc: str
    formula: str
    source: str
    params: tuple[tuple[str, str, str], ...]

    def __str__(self) -> str:
        lines = [f"{self.name}: {self.doc}", f"  formula  {self.formula}", f"  source   {self.source}"]
        return "\n".join(
            [*lines, *(f"  {key}: {meaning} ({default})" for key, meaning, default in self.params)]
        )


def describe(name: str) -> Description:
    """A reward's documentation, formula, source and parameters."""
    module = get(name)
    params = tuple(
        (key, info.description or "", "required" if info.is_required() else f"default {info.get_default()!r}")
        for key, info in module.Params.model_fields.items()
    )
    return Description(name, module.DOC, module.FORMULA, module.SOURCE, params)


def validate(name: str, params: Mapping[str, Any] | None = None) -> Config:
    """The validated parameters; StudyError for an unknown name, pydantic's ValidationError for bad values."""
    return _catalogue.validate(name, params or {})


def build(
    name: str,
    params: Mapping[str, Any] | None = None,
    *,
    eos_token_ids: Iterable[int] = (),
    group_size: int | None = None,
) -> Reward:
    """A reward function for GRPOTrainer and RLOOTrainer.

    `eos_token_ids` end a sequence (generation config and tokenizer); without them no rollout counts as cut
    off, so a training must always give them (ours does). `group_size` (rollouts per prompt) lets grouped rewards refuse a call
    that splits a group. `__name__` tells parameters apart, for TRL's log.
    """
    module = get(name)
    settings = _validate_or_explain(name, params or {})
    ends = frozenset(eos_token_ids)
    score = module.make(settings)
    prepare = functools.partial(Rollouts, eos_token_ids=ends, group_size=group_size)

    def reward(
        prompts: list[Any],
        completions: list[Any],
        completion_ids: list[list[int]] | None = None,
        solution: list[str | None] | None = None,
        **columns: Any,
    ) -> list[float | None]:
        golds = columns.get("answer", solution)
        texts = tuple(text_of(completion) for completion in completions)
        known = None if golds is None else tuple(golds)
        return score(prepare(prompts, texts, known, completion_ids, columns=columns))

    reward.__name__ = reward.__qualname__ = label(name, settings)
    reward.__doc__ = module.DOC
    return reward


def label(name: str, params: Config) -> str:
    """The reward's name with the parameters that differ from their defaults: `l1_max[alpha=0.001]`."""
    options = ",".join(f"{key}={canonical_json(value)}" for key, value in sorted(params.identity().items()))
    return f"{name}[{options}]" if options else name


def _validate_or_explain(name: str, params: Mapping[str, Any]) -> Config:
    try:
        return validate(name, params)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        known = ", ".join(params_model(name).model_fields) or "none"
        raise StudyError(
            f"reward {name!r}: {place}: {first['msg']}".replace(": :", ":"), f"Its parameters: {known}."
        ) from None
