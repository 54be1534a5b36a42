"""Metrics that a study names: known, measured by something that the study declares, and given a name.

Guaranteed: a metric that compiles has a column that some artifact of the study will hold (a reward's value is
computed from responses); what has none is a problem with its place and the nearest known name.
"""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from pipeline import analyses, rewards
from pipeline.errors import StudyError, shown, suggest
from pipeline.locate import PathTuple
from pipeline.plan.cells import Cell
from pipeline.plan.lower.cells import Lowered
from pipeline.request.request import GivenMetric
from pipeline.spec.claims import MetricSpec
from pipeline.spec.levels import Problems

BUILT_IN = ("accuracy", "tokens", "truncated", "token_efficiency")
CURVES = ("reward", "accuracy_reward", "tokens", "truncated", "kl", "loss", "token_accuracy")
COLUMNS = ("correct", "accuracy", "tokens", "truncated")


def is_share(metric: str) -> bool:
    """Whether a metric lies between 0 and 1."""
    return metric in ("accuracy", "truncated") or "@" in metric


class Metrics:
    """Checks the metrics of one study and keeps those that are given as mappings, by name."""

    def __init__(self, lowered: Lowered, problems: Problems) -> None:
        self.study = lowered.study
        self.lowered = lowered
        self.problems = problems
        self.is_whole = not problems
        """Whether all of the study that a metric may refer to was understood: what is missing then is its own fault."""
        self.given: dict[str, GivenMetric] = {}
        raw = self.study.spec.analyses
        self.declared = [name if isinstance(name, str) else next(iter(name), "") for name in raw]

    @functools.cached_property
    def analysed(self) -> frozenset[tuple[str, str]]:
        """(analysis, measure) wherever an analysis is taken of at least one cell."""
        return frozenset((name, unit.measure) for unit in self.lowered.units for name in unit.analyses)

    def needed(self, metric: str) -> frozenset[str]:
        """The analyses that a metric reads."""
        given = self.given.get(metric)
        columns = (metric,) if given is None else (given.column, *given.given)
        return frozenset(column.partition(".")[0] for column in columns).intersection(self.declared)

    def is_measured(self, metric: str, measures: Iterable[str], path: PathTuple) -> bool:
        """Whether what a metric reads is taken on every one of some measures; else a problem that names those."""
        measures = list(dict.fromkeys(measures))
        needed = self.needed(metric)
        without = [m for m in measures if any((name, m) not in self.analysed for name in needed)]
        if without:
            measured = [name for name in measures if name not in without]
            self.problems.add(
                path,
                f"metric {metric!r} is not measured on {', '.join(without)}",
                f"Name the measure: {', '.join(measured)}."
                if measured
                else "Add the measure to the analysis.",
            )
        return not without

    def check_found(
        self,
        metric: str,
        sets: Sequence[Collection[str]],
        places: Iterable[tuple[Cell, int | None]],
        what: str,
        path: PathTuple,
    ) -> None:
        """Note that no place (a cell, a checkpoint) has what a metric reads on all measures of one of the sets."""
        needed = self.needed(metric)
        units, at = self.lowered.units, self.lowered.cell_units

        def has(cell: Cell, step: int | None, measure: str) -> bool:
            indices = at.get((cell, step, measure), ())
            return any(needed <= set(units[index].analyses) for index in indices)

        if self.is_whole and not any(
            all(has(*place, m) for m in names) for names in sets for place in places
        ):
            names = ", ".join(dict.fromkeys(name for names in sets for name in names))
            self.problems.add(
                path,
                f"{what}: no cell of it has {metric!r} on {names}",
                "Name measures that its cells have, or widen an `only`.",
                key=not isinstance(path[-1], int),
            )

    def name(self, metric: Any, path: PathTuple, measures: Iterable[str] = ()) -> str | None:
        """The name of a metric (text, MetricSpec or its mapping); None after noting what is wrong."""
        if isinstance(metric, Mapping):
            metric = self._read(metric, path)
        if metric is None:
            return None
        if isinstance(metric, MetricSpec):
            return self._name_given(metric, path)
        if not isinstance(metric, str):
            self.problems.add(path, f"metric {shown(metric)} is unknown", "Write the name of a metric.")
            return None
        family, at, k = metric.partition("@")
        if at and family in ("pass", "maj"):
            return metric if self._has_samples(metric, k, measures, path) else None
        family, _, rest = metric.partition(".")
        if family == "data" and rest:
            return metric if self._is_data(metric, rest, path) else None
        known = [*BUILT_IN, *(f"training.{c}" for c in CURVES), *self._analysis_columns()]
        return metric if self._is_known(metric, known, (*path,)) else None

    def _read(self, raw: Mapping[str, Any], path: PathTuple) -> MetricSpec | None:
        from pipeline.spec.problems import place_in, problems_of

        try:
            return MetricSpec.model_validate(dict(raw))
        except ValidationError as error:
            locate = place_in(self.problems.document, path)
            self.problems.extend(problems_of(error, MetricSpec, locate, raw))
            return None

    def _analysis_columns(self) -> list[str]:
        known = analyses.names()
        return [f"{a}.{c}" for a in self.declared if a in known for c in analyses.columns(a)]

    def _is_known(self, metric: str, known: Iterable[str], path: PathTuple) -> bool:
        if metric in known:
            return True
        name, _, column = metric.partition(".")
        if column and name in analyses.names() and name not in self.declared:
            self.problems.add(
                path,
                f"metric {metric!r} needs the analysis {name!r}, which the study does not declare",
                f"Add it: analyses: [{name}].",
            )
        else:
            self.problems.add(path, f"metric {metric!r} is unknown", suggest(metric, known))
        return False

    def _has_samples(self, metric: str, k: str, measures: Iterable[str], path: PathTuple) -> bool:
        if not (k.isascii() and k.isdigit()) or int(k) < 1:
            self.problems.add(
                path, f"metric {metric!r} is unknown", "Write pass@8 or maj@8, with a number of samples."
            )
            return False
        for name in measures or self.study.measures:
            settings = self.study.measures.get(name)
            samples = settings.values.get("samples", 1) if settings is not None else None
            if isinstance(samples, int) and samples < int(k):
                self.problems.add(
                    path,
                    f"{metric} needs {k} samples per problem, and {name!r} takes {samples}",
                    f"Raise `samples` of {name!r}, or lower k.",
                )
                return False
        return True

    def _is_data(self, metric: str, rest: str, path: PathTuple) -> bool:
        name, dot, fact = rest.partition(".")
        if name not in self.lowered.data_keys:
            if self.is_whole:
                self.problems.add(
                    path,
                    f"data {name!r} is no data entry of the study",
                    suggest(name, self.lowered.data_keys),
                )
            return False
        if not dot or not fact:
            self.problems.add(
                path,
                f"metric {metric!r} names no count",
                f"Write data.{name}.rows_out or data.{name}.dropped.REASON.",
            )
            return False
        return True

    def _name_given(self, spec: MetricSpec, path: PathTuple) -> str | None:
        column, statistic = (spec.mean, "mean") if spec.mean is not None else (spec.sd, "sd")
        before = len(self.problems)
        self._check_column(column, spec.params, (*path, statistic))
        for condition in spec.given:
            if condition.startswith("reward."):
                self.problems.add(
                    (*path, "given", condition),
                    f"a condition is no reward ({condition})",
                    "Condition on tokens, correct, truncated or a column of an analysis.",
                    key=True,
                )
            else:
                self._check_column(condition, {}, (*path, "given", condition))
                if condition == "tokens" and isinstance(spec.given[condition], bool):
                    what = f"a condition on tokens is a range, not {shown(spec.given[condition])}"
                    self.problems.add((*path, "given", condition), what, "Write [low, high].")
        if len(self.problems) > before:
            return None
        given = GivenMetric(
            statistic=statistic, column=column, given=dict(spec.given), params=dict(spec.params)
        )
        name = describe_given(given)
        if self.given.get(name, given) != given:
            name = describe_given(given, is_short=False)
        self.given[name] = given
        return name

    def _check_column(self, column: str, params: Mapping[str, Any], path: PathTuple) -> None:
        if not column.startswith("reward."):
            if params:
                self.problems.add(path, f"params belong to reward.NAME, not to {column!r}", "Remove them.")
            self._is_known(column, [*COLUMNS, *self._analysis_columns()], path)
            return
        name = column.removeprefix("reward.")
        try:
            rewards.validate(name, params)
        except StudyError as error:
            self.problems.add(path, error.what, error.remedy)
        except ValidationError as error:
            first = error.errors()[0]
            words = f"{'.'.join(str(p) for p in first['loc'])}: {first['msg']}"
            known = ", ".join(rewards.params_model(name).model_fields)
            self.problems.add(path, f"reward {name!r}: {words}", f"Its parameters, under `params`: {known}.")


def describe_given(given: GivenMetric, *, is_short: bool = True) -> str:
    """A name for a metric over a part of the responses: mean tokens where reflects, tokens 300–600.

    Two analyses may have a column of one name: the long form says whose it is.
    """
    conditions = []
    for column, wanted in given.given.items():
        short = (column.rpartition(".")[2] if is_short else column).replace("_", " ")
        if isinstance(wanted, bool):
            conditions.append(short if wanted else f"not {short}")
        else:
            conditions.append(f"{short} {wanted[0]:g}–{wanted[1]:g}")
    options = ", ".join(f"{key} {value}" for key, value in given.params.items())
    column = given.column.removeprefix("reward.").replace("_", " ") + (f" ({options})" if options else "")
    return f"{given.statistic} {column}" + (f" where {', '.join(conditions)}" if conditions else "")
