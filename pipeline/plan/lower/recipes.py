"""A cell's level of a training factor, a model or a measure → a validated configuration.

The YAML of a level holds the stage's settings and, beside them, words of the study: `data`, `rows`,
`checkpoints`, `reward`. They are taken apart here; results are shared between cells that agree on
everything that the level refers to.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipeline import stages
from pipeline.errors import Location, Problem, StudyError, shown, suggest
from pipeline.fingerprint import Config
from pipeline.locate import PathTuple
from pipeline.plan.cells import Cell
from pipeline.plan.lower.only import ONLY, read_only
from pipeline.spec.levels import (
    Problems,
    Settings,
    place_of_reference,
    split_reference,
    substitute,
    validate_settings,
)
from pipeline.spec.study import Study
from pipeline.stages.rl import RewardTerm
from pipeline.stages.sample import SampleConfig

_PLACEHOLDER = ({"name": "accuracy"},)
"""Stands for a reward with errors, so that the rest of its level is checked as well."""

MOST_CHECKPOINTS = 10_000
TRAINING_WORDS = ("data", "rows", "inherits")


@dataclass(frozen=True)
class Recipe:
    """A validated level: what runs, on how many rows of which data."""

    stage: str
    config: Config
    data: str | None = None
    rows: int | None = None
    checkpoints: tuple[int, ...] = ()
    phases: tuple[tuple[tuple[str, int | None], ...], ...] = ()
    """For a base model: per phase, the data names and rows that it trains on."""
    only: tuple[Mapping[str, Any], ...] = ()
    """For a measure: the cells (and checkpoints) where it is taken; everywhere when empty."""


class Recipes:
    """Resolves levels and measures, each distinct one once; problems are collected, not raised."""

    def __init__(self, study: Study, problems: Problems) -> None:
        self.study = study
        self.problems = problems
        self._known: dict[tuple[Any, ...], Recipe | None] = {}

    def training(self, factor: str, cell: Cell) -> Recipe | None:
        """The recipe of a cell's level of a training factor; None where the level skips its stage."""
        return self._resolve(factor, cell, self._read_training)

    def model(self, factor: str, cell: Cell) -> Recipe | None:
        """The recipe that obtains a cell's base model."""
        return self._resolve(factor, cell, self._read_model)

    def measure(self, name: str, cell: Cell) -> Recipe | None:
        """The sampling protocol of a measure in a cell; `data` is its benchmark or data entry."""
        settings = self.study.measures[name]
        known = self._references(settings, cell)
        if settings.is_broken or len(known) < len(settings.references):
            return None
        key = ("measure", name, repr(sorted(known.items())))
        if key not in self._known:
            self._known[key] = self._read_measure(name, settings, substitute(settings.values, known))
        return self._known[key]

    def _resolve(self, factor: str, cell: Cell, read: Any) -> Recipe | None:
        level = self.study.factors[factor].levels[cell.level(factor)]
        if level.is_skipped or level.settings is None or level.settings.is_broken:
            return None
        known = self._references(level.settings, cell)
        if len(known) < len(level.settings.references):
            return None
        key = (factor, level.name, repr(sorted(known.items())))  # 1 and true are equal, not the same
        if key not in self._known:
            values = substitute(level.settings.values, known)
            self._known[key] = read(factor, level.name, level.settings, values)
        return self._known[key]

    def _references(self, settings: Settings, cell: Cell) -> dict[str, Any]:
        """The values of the references that some settings make, in a cell; unknown ones are noted once."""
        known: dict[str, Any] = {}
        for reference in settings.references:
            factor, key = split_reference(reference, self.study.factors)
            levels = self.study.factors[factor].levels if factor in self.study.factors else {}
            level = levels.get(cell.level(factor)) if levels else None
            if level is None:
                if not self.problems.is_broken("factors", factor):
                    what = f"${{{reference}}} refers to an unknown factor {factor!r}"
                    remedy = suggest(factor, self.study.factors)
                    self.problems.add(place_of_reference(settings, reference), what, remedy)
            elif key:
                values = level.settings.values if level.settings else {}
                if key not in values:
                    what = f"${{{reference}}}: level {level.name!r} of {factor!r} has no {key!r}"
                    self.problems.add(place_of_reference(settings, reference), what, suggest(key, values))
                else:
                    known[reference] = values[key]
            else:
                known[reference] = level.name if isinstance(level.value, Mapping) else level.value
        return known

    def _read_training(
        self, factor: str, name: str, settings: Settings, values: Mapping[str, Any]
    ) -> Recipe | None:
        stage = self.study.factors[factor].kind
        label = f"{factor} {name!r}"
        words = {**values}
        data, rows = self._data_words(words, settings, label)
        config_model, training = stages.load(stage).config, stages.load_training(stage)
        checkpoints: Any = words.pop("checkpoints", None) if training.has_checkpoints else None
        if "prompt" in config_model.model_fields:
            words.setdefault("prompt", self.study.spec.prompt)
        before = len(self.problems)
        if training.has_rewards and "reward" in words:
            words["reward"] = self._reward(words["reward"], settings, label) or _PLACEHOLDER
        also = (*TRAINING_WORDS, *(("checkpoints",) if training.has_checkpoints else ()))
        config = validate_settings(config_model, words, settings, self.problems, label=label, also_known=also)
        if config is None or len(self.problems) > before:
            return None
        steps = self._checkpoints(checkpoints, getattr(config, "steps", 0), settings, label)
        return Recipe(stage, config, data, rows, steps)

    def _data_words(
        self, words: dict[str, Any], settings: Settings, label: str
    ) -> tuple[str | None, int | None]:
        data, rows = words.pop("data", None), words.pop("rows", None)
        locate = settings.locator(self.problems.document)
        if data is None:
            self._note(locate(("data",), True), f"{label} lacks 'data'", "Name the data that it trains on.")
        elif not isinstance(data, str) or data not in self.study.spec.data:
            self._note_unknown_data(data, locate(("data",), False), label)
            data = None
        return data, self._rows(rows, locate(("rows",), False), label)

    def _note_unknown_data(self, data: Any, where: Location, label: str) -> None:
        if not self.problems.is_broken("data", data):
            remedy = (
                suggest(data, self.study.spec.data)
                if isinstance(data, str)
                else "Write the name of one data entry."
            )
            self._note(where, f"{label}: data {shown(data)} is unknown", remedy)

    def _rows(self, rows: Any, where: Location, label: str) -> int | None:
        """A number of rows; None where none is given, or after noting that it is none."""
        if rows is None or (type(rows) is int and rows >= 1):
            return rows
        what = f"{label}: rows {shown(rows)} is not a number of rows"
        self._note(where, what, "Write a whole number, e.g. 8_000; `8k` is text.")
        return None

    def _reward(self, raw: Any, settings: Settings, label: str) -> tuple[Any, ...] | None:
        """`{accuracy: 1, cosine: {weight: 2, max_length: 3584}}` → terms sorted by name."""
        from pipeline import rewards

        locate = settings.locator(self.problems.document)
        if isinstance(raw, str):
            raw = {raw: 1}
        if not isinstance(raw, Mapping) or not raw:
            self._note(
                locate(("reward",), False),
                f"{label}: reward is {shown(raw)}",
                "Write {NAME: WEIGHT} or {NAME: {weight: …, …}}.",
            )
            return None
        terms = []
        for name, given in sorted(raw.items()):
            options = dict(given) if isinstance(given, Mapping) else {"weight": 1 if given is None else given}
            weight = options.pop("weight", 1)
            if isinstance(weight, bool) or not isinstance(weight, (int, float)) or not math.isfinite(weight):
                what = f"{label}: the weight of reward {name!r} is {shown(weight)}"
                self._note(locate(("reward", name), False), what, "Write a finite number.")
                continue
            place, known = ("reward", name), ("weight",)
            params = validate_entry(
                rewards, "reward", name, options, place, locate, self.problems, words=known
            )
            if params is not None:
                terms.append(RewardTerm(name=name, weight=weight, params=params.identity()))
        return tuple(terms) if len(terms) == len(raw) else None

    def _checkpoints(self, raw: Any, steps: int, settings: Settings, label: str) -> tuple[int, ...]:
        """`[20, 40]` or `every 20` → sorted steps before the last."""
        place = settings.locator(self.problems.document)(("checkpoints",), False)
        if raw is None:
            return ()
        if (
            isinstance(raw, str)
            and raw.startswith("every ")
            and raw.isascii()
            and raw[6:].strip().isdigit()
            and int(raw[6:]) > 0
        ):
            if steps // int(raw[6:]) > MOST_CHECKPOINTS:
                what = f"{label}: {raw} of {steps:,} steps are more than {MOST_CHECKPOINTS:,} checkpoints"
                self._note(place, what, "Take fewer.")
                return ()
            raw = tuple(range(int(raw[6:]), steps + 1, int(raw[6:])))
        if not isinstance(raw, tuple):
            what = f"{label}: checkpoints {shown(raw)}"
            self._note(place, what, "Write a list of steps, [20, 40], or `every 20`.")
            return ()
        locate = settings.locator(self.problems.document)
        for i, step in enumerate(raw):
            if type(step) is not int or not 1 <= step <= steps:
                what = f"{label}: checkpoint {shown(step)} is none of the run's {steps} steps"
                self._note(locate(("checkpoints", i), False), what, f"Choose steps from 1 to {steps}.")
        if not all(type(step) is int and 1 <= step <= steps for step in raw):
            return ()
        return tuple(sorted({n for n in raw if n < steps}))

    def _read_model(
        self, factor: str, name: str, settings: Settings, values: Mapping[str, Any]
    ) -> Recipe | None:
        from pipeline.plan.lower.base_models import read_model

        return read_model(self.study, name, settings, values, self.problems)

    def _read_measure(self, name: str, settings: Settings, values: Mapping[str, Any]) -> Recipe | None:
        from pipeline import benchmarks

        words = {**values}
        benchmark, data = words.pop("benchmark", None), words.pop("data", None)
        place = settings.origins.get(ONLY, settings.path)
        only = read_only(words.pop(ONLY, None), place, self.study, self.problems)
        locate = settings.locator(self.problems.document)
        label = f"measure {name!r}"
        rows = self._rows(words.pop("rows", None), locate(("rows",), False), label)
        if only is None:
            return None
        if benchmark is not None and data is not None:
            self._note(locate(("data",), True), f"{label} has both benchmark and data", "Keep one.")
            return None
        if data is None and benchmark is None:
            if self.problems.is_broken("data", name):
                return None
            if name in self.study.spec.data:
                data = name
            else:
                benchmark = name
        known_data = [*self.study.spec.data]
        if data is not None and (not isinstance(data, str) or data not in self.study.spec.data):
            self._note_unknown_data(data, locate(("data",), False), label)
            return None
        if benchmark is not None and benchmark not in benchmarks.names():
            what = f"{label}: {shown(benchmark)} is neither a benchmark nor a data entry"
            remedy = suggest(benchmark, [*benchmarks.names(), *known_data])
            if benchmark in known_data:
                what, remedy = (
                    f"{label}: {benchmark!r} is a data entry, no benchmark",
                    f"Write data: {benchmark}.",
                )
            self._note(locate(("benchmark",), False), what, remedy)
            return None
        words.setdefault("prompt", self.study.spec.prompt)
        config = validate_settings(
            SampleConfig,
            words,
            settings,
            self.problems,
            label=label,
            also_known=("benchmark", "data", "rows", "only", "inherits"),
        )
        if config is None:
            return None
        chosen = data if data is not None else f"benchmark:{benchmark}"
        return Recipe("sample", config, chosen, rows, only=only)

    def _note(self, where: Location, what: str, remedy: str) -> None:
        self.problems.extend([Problem(what, remedy, where)])


def validate_entry(
    catalogue: Any,
    kind: str,
    name: str,
    options: Mapping[str, Any],
    path: PathTuple,
    locate: Any,
    problems: Problems,
    also_known: tuple[str, ...] = (),
    words: tuple[str, ...] = (),
) -> Config | None:
    """Validate a catalogue entry's parameters where they stand in a file; None after noting the problems.

    `also_known` are names beside the catalogue's, `words` keys beside the parameters, for errors to suggest.
    """
    from pydantic import ValidationError

    from pipeline.spec.problems import problems_of

    if name not in catalogue.names():
        problems.append(
            Problem(
                f"{kind} {name!r} is unknown",
                suggest(name, [*catalogue.names(), *also_known]),
                locate(path, True),
            )
        )
        return None
    try:
        return catalogue.validate(name, dict(options))
    except ValidationError as error:
        model, label = catalogue.params_model(name), f"{kind} {name!r}: "
        place = lambda p, k: locate((*path, *p), k)
        problems.extend(problems_of(error, model, place, options, where_known=label, also_known=words))
    except StudyError as error:
        problems.append(Problem(error.what, error.remedy, locate(path, False)))
    return None
