"""A level of a training factor → the configuration of its stage, and the words of the study beside it.

The YAML of a level holds the stage's settings and, beside them, words of the study: `data`, `rows`,
`checkpoints`, `reward`. They are taken apart here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pipeline import stages
from pipeline.errors import shown
from pipeline.plan.lower.answers import Training
from pipeline.plan.lower.demands import TrainingOf
from pipeline.plan.lower.entry import validate_entry
from pipeline.plan.lower.resolver import Resolver
from pipeline.plan.lower.stage_words import note, note_unknown_data, read_rows
from pipeline.spec.levels import Problems, Settings, substitute, validate_settings
from pipeline.spec.study import Study

if TYPE_CHECKING:
    from pipeline.stages.rl import RewardTerm

_PLACEHOLDER = ({"name": "accuracy"},)
"""Stands for a reward with errors, so that the rest of its level is checked as well."""

MOST_CHECKPOINTS = 10_000
TRAINING_WORDS = ("data", "rows", "inherits")


def read_training(resolver: Resolver, demand: TrainingOf) -> Training | None:
    """The rule of `TrainingOf`."""
    study, problems = resolver.study, resolver.problems
    factor = study.factors[demand.factor]
    settings = factor.levels[demand.level].settings
    if settings is None:
        return None
    stage, label = factor.kind, f"{demand.factor} {demand.level!r}"
    words = dict(substitute(settings.values, demand.references.values))
    data, rows = _data_words(words, settings, label, study, problems)
    model, training = stages.load(stage).config, stages.load_training(stage)
    checkpoints: Any = words.pop("checkpoints", None) if training.has_checkpoints else None
    if "prompt" in model.model_fields:
        words.setdefault("prompt", study.spec.prompt)
    before = len(problems)
    if training.has_rewards and "reward" in words:
        words["reward"] = _read_reward(words["reward"], settings, label, problems) or _PLACEHOLDER
    also = (*TRAINING_WORDS, *(("checkpoints",) if training.has_checkpoints else ()))
    config = validate_settings(model, words, settings, problems, label=label, also_known=also)
    if config is None or len(problems) > before:
        return None
    steps = _read_checkpoints(checkpoints, getattr(config, "steps", 0), settings, label, problems)
    return Training(stage, config, data, rows, steps)


def _data_words(
    words: dict[str, Any], settings: Settings, label: str, study: Study, problems: Problems
) -> tuple[str | None, int | None]:
    data, rows = words.pop("data", None), words.pop("rows", None)
    locate = settings.locator(problems.document)
    if data is None:
        what = f"{label} lacks 'data'"
        note(problems, locate(("data",), True), what, "Name the data that it trains on.")
    elif not isinstance(data, str) or data not in study.spec.data:
        note_unknown_data(study, problems, data, locate(("data",), False), label)
        data = None
    return data, read_rows(problems, rows, locate(("rows",), False), label)


def _read_reward(
    raw: Any, settings: Settings, label: str, problems: Problems
) -> tuple[RewardTerm, ...] | None:
    """`{accuracy: 1, cosine: {weight: 2, max_length: 3584}}` → terms sorted by name."""
    from pipeline import rewards
    from pipeline.stages.rl import RewardTerm

    locate = settings.locator(problems.document)
    if isinstance(raw, str):
        raw = {raw: 1}
    if not isinstance(raw, Mapping) or not raw:
        what = f"{label}: reward is {shown(raw)}"
        note(problems, locate(("reward",), False), what, "Write {NAME: WEIGHT} or {NAME: {weight: …, …}}.")
        return None
    terms = []
    for name, given in sorted(raw.items()):
        options = dict(given) if isinstance(given, Mapping) else {"weight": 1 if given is None else given}
        weight = options.pop("weight", 1)
        if isinstance(weight, bool) or not isinstance(weight, (int, float)) or not math.isfinite(weight):
            what = f"{label}: the weight of reward {name!r} is {shown(weight)}"
            note(problems, locate(("reward", name), False), what, "Write a finite number.")
            continue
        place, known = ("reward", name), ("weight",)
        params = validate_entry(rewards, "reward", name, options, place, locate, problems, words=known)
        if params is not None:
            terms.append(RewardTerm(name=name, weight=weight, params=params.identity()))
    return tuple(terms) if len(terms) == len(raw) else None


def _read_checkpoints(
    raw: Any, steps: int, settings: Settings, label: str, problems: Problems
) -> tuple[int, ...]:
    """`[20, 40]` or `every 20` → sorted steps before the last."""
    locate = settings.locator(problems.document)
    place = locate(("checkpoints",), False)
    if raw is None:
        return ()
    if isinstance(raw, str) and (distance := _distance(raw)):
        if steps // distance > MOST_CHECKPOINTS:
            what = f"{label}: {raw} of {steps:,} steps are more than {MOST_CHECKPOINTS:,} checkpoints"
            note(problems, place, what, "Take fewer.")
            return ()
        raw = tuple(range(distance, steps + 1, distance))
    if not isinstance(raw, tuple):
        what = f"{label}: checkpoints {shown(raw)}"
        note(problems, place, what, "Write a list of steps, [20, 40], or `every 20`.")
        return ()
    wrong = [i for i, step in enumerate(raw) if type(step) is not int or not 1 <= step <= steps]
    for i in wrong:
        what = f"{label}: checkpoint {shown(raw[i])} is none of the run's {steps} steps"
        note(problems, locate(("checkpoints", i), False), what, f"Choose steps from 1 to {steps}.")
    return () if wrong else tuple(sorted({n for n in raw if n < steps}))


def _distance(text: str) -> int:
    """n of `every n`; 0 for any other text."""
    number = text.removeprefix("every ")
    is_number = number != text and text.isascii() and number.strip().isdigit()
    return int(number) if is_number else 0
