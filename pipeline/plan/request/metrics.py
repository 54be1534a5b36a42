"""Metrics that a study names: parsed once, known, and measured by something that the study declares.

Guaranteed: a metric that compiles has a column that some artifact of the study will hold (a reward's value is
computed from responses); what has none is a problem with its place and the nearest known name.
"""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

from pydantic import ValidationError

from pipeline import analyses, rewards
from pipeline.errors import StudyError, shown, suggest
from pipeline.locate import PathTuple
from pipeline.plan.cells import Cell
from pipeline.plan.lower.cells import Lowered
from pipeline.request.logged import LOGGED
from pipeline.request.metrics import (
    BUILT_IN,
    COLUMNS,
    AnalysisMean,
    AnyMetric,
    Column,
    Condition,
    Conditional,
    Count,
    OfResponses,
    OfSamples,
    ResponseMean,
    RewardValue,
    parse_column,
    parse_metric,
)
from pipeline.spec.claims import MetricSpec
from pipeline.spec.levels import Problems


def is_share(metric: AnyMetric) -> bool:
    """Whether a metric of all responses lies between 0 and 1."""
    return isinstance(metric, ResponseMean | OfSamples) and metric.unit == "share"


class Metrics:
    """Parses and checks the metrics of one study, and names those that are given as mappings."""

    def __init__(self, lowered: Lowered, problems: Problems) -> None:
        self.study = lowered.study
        self.lowered = lowered
        self.problems = problems
        self.is_whole = not problems
        """Whether all of the study that a metric may refer to was understood: what is missing then is its own fault."""
        self.conditional: dict[str, Conditional] = {}
        """Those that are given as mappings, by the name that was found for them."""
        raw = self.study.spec.analyses
        self.declared = [name if isinstance(name, str) else next(iter(name), "") for name in raw]

    @functools.cached_property
    def analysed(self) -> frozenset[tuple[str, str]]:
        """(analysis, measure) wherever an analysis is taken of at least one cell."""
        return frozenset((name, unit.measure) for unit in self.lowered.units for name in unit.analyses)

    def is_measured(self, metric: OfResponses, measures: Iterable[str], path: PathTuple) -> bool:
        """Whether what a metric reads is taken on every one of some measures; else a problem that names those."""
        measures = list(dict.fromkeys(measures))
        without = [m for m in measures if any((name, m) not in self.analysed for name in metric.needs)]
        if without:
            measured = [name for name in measures if name not in without]
            self.problems.add(
                path,
                f"metric {metric.name!r} is not measured on {', '.join(without)}",
                f"Name the measure: {', '.join(measured)}."
                if measured
                else "Add the measure to the analysis.",
            )
        return not without

    def check_found(
        self,
        metric: OfResponses,
        sets: Sequence[Collection[str]],
        places: Iterable[tuple[Cell, int | None]],
        what: str,
        path: PathTuple,
    ) -> None:
        """Note that no place (a cell, a checkpoint) has what a metric reads on all measures of one of the sets."""
        needed = set(metric.needs)
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
                f"{what}: no cell of it has {metric.name!r} on {names}",
                "Name measures that its cells have, or widen an `only`.",
                key=not isinstance(path[-1], int),
            )

    def read(self, metric: Any, path: PathTuple, measures: Iterable[str] = ()) -> AnyMetric | None:
        """The metric that a study writes (text, MetricSpec or its mapping); None after noting what is wrong."""
        if isinstance(metric, Mapping):
            metric = self._validate(metric, path)
        if metric is None:
            return None
        if isinstance(metric, MetricSpec):
            return self._read_conditional(metric, path)
        if not isinstance(metric, str):
            self.problems.add(path, f"metric {shown(metric)} is unknown", "Write the name of a metric.")
            return None
        parsed = parse_metric(metric)
        if isinstance(parsed, OfSamples):
            return parsed if self._has_samples(parsed, measures, path) else None
        if isinstance(parsed, Count):
            return parsed if self._has_data(parsed.data, path) else None
        if parsed is None or (isinstance(parsed, AnalysisMean) and not self._is_declared(parsed.column)):
            self._note_unknown(metric, path)
            return None
        return parsed

    def _validate(self, raw: Mapping[str, Any], path: PathTuple) -> MetricSpec | None:
        from pipeline.spec.problems import place_in, problems_of

        try:
            return MetricSpec.model_validate(dict(raw))
        except ValidationError as error:
            locate = place_in(self.problems.document, path)
            self.problems.extend(problems_of(error, MetricSpec, locate, raw))
            return None

    def _is_declared(self, column: Column) -> bool:
        """Whether an analysis that the study declares measures a column."""
        known = column.analysis in self.declared and column.analysis in analyses.names()
        return known and column.name in analyses.columns(column.analysis)

    def _analysis_columns(self) -> list[str]:
        known = analyses.names()
        return [f"{a}.{c}" for a in self.declared if a in known for c in analyses.columns(a)]

    def _note_unknown(self, metric: str, path: PathTuple) -> None:
        """Say what a name lacks that is no metric of the study."""
        if metric.startswith(("pass@", "maj@")):
            remedy = "Write pass@8 or maj@8, with a number of samples."
            self.problems.add(path, f"metric {metric!r} is unknown", remedy)
            return
        family, _, rest = metric.partition(".")
        if family == "data" and rest:
            name = rest.partition(".")[0]
            if self._has_data(name, path):
                remedy = f"Write data.{name}.rows_out or data.{name}.dropped.REASON."
                self.problems.add(path, f"metric {metric!r} names no count", remedy)
            return
        self._note_unknown_column(
            metric, [*BUILT_IN, *(f"training.{c}" for c in LOGGED), *self._analysis_columns()], path
        )

    def _note_unknown_column(self, name: str, known: Iterable[str], path: PathTuple) -> None:
        analysis, _, column = name.partition(".")
        if column and analysis in analyses.names() and analysis not in self.declared:
            self.problems.add(
                path,
                f"metric {name!r} needs the analysis {analysis!r}, which the study does not declare",
                f"Add it: analyses: [{analysis}].",
            )
        else:
            self.problems.add(path, f"metric {name!r} is unknown", suggest(name, known))

    def _has_samples(self, metric: OfSamples, measures: Iterable[str], path: PathTuple) -> bool:
        for name in measures or self.study.measures:
            settings = self.study.measures.get(name)
            samples = settings.values.get("samples", 1) if settings is not None else None
            if isinstance(samples, int) and samples < metric.k:
                self.problems.add(
                    path,
                    f"{metric.name} needs {metric.k} samples per problem, and {name!r} takes {samples}",
                    f"Raise `samples` of {name!r}, or lower k.",
                )
                return False
        return True

    def _has_data(self, name: str, path: PathTuple) -> bool:
        if name in self.lowered.data_keys:
            return True
        if self.is_whole:
            what = f"data {name!r} is no data entry of the study"
            self.problems.add(path, what, suggest(name, self.lowered.data_keys))
        return False

    def _read_conditional(self, spec: MetricSpec, path: PathTuple) -> Conditional | None:
        statistic: Literal["mean", "sd"] = "mean" if spec.mean is not None else "sd"
        written = spec.mean if spec.mean is not None else spec.sd
        before = len(self.problems)
        column = self._read_column(written or "", spec.params, (*path, statistic))
        conditions = [self._read_condition(*given, path) for given in spec.given.items()]
        if len(self.problems) > before or column is None:
            return None
        metric = Conditional(
            name="",
            statistic=statistic,
            column=column,
            conditions=tuple(condition for condition in conditions if condition is not None),
        )
        named = replace(metric, name=describe_conditional(metric))
        if self.conditional.get(named.name, named) != named:
            named = replace(metric, name=describe_conditional(metric, is_short=False))
        self.conditional[named.name] = named
        return named

    def _read_condition(
        self, name: str, wanted: bool | tuple[float, float], path: PathTuple
    ) -> Condition | None:
        place = (*path, "given", name)
        if name.startswith("reward."):
            self.problems.add(
                place,
                f"a condition is no reward ({name})",
                "Condition on tokens, correct, truncated or a column of an analysis.",
                key=True,
            )
            return None
        column = self._read_column(name, {}, place)
        if name == "tokens" and isinstance(wanted, bool):
            what = f"a condition on tokens is a range, not {shown(wanted)}"
            self.problems.add(place, what, "Write [low, high].")
        return Condition(column=column, wanted=wanted) if isinstance(column, Column) else None

    def _read_column(
        self, name: str, params: Mapping[str, Any], path: PathTuple
    ) -> Column | RewardValue | None:
        """The column that a study writes; None after noting what is wrong."""
        column = parse_column(name, params)
        if isinstance(column, RewardValue):
            return column if self._is_reward(column, path) else None
        if params:
            self.problems.add(path, f"params belong to reward.NAME, not to {name!r}", "Remove them.")
        if self._is_declared(column) if column.analysis else name in COLUMNS:
            return column
        self._note_unknown_column(name, [*COLUMNS, *self._analysis_columns()], path)
        return None

    def _is_reward(self, column: RewardValue, path: PathTuple) -> bool:
        """Whether a reward of the catalogue takes these parameters; else a problem."""
        name = column.reward
        try:
            rewards.validate(name, column.params)
        except StudyError as error:
            self.problems.add(path, error.what, error.remedy)
            return False
        except ValidationError as error:
            first = error.errors()[0]
            words = f"{'.'.join(str(p) for p in first['loc'])}: {first['msg']}"
            known = ", ".join(rewards.params_model(name).model_fields)
            self.problems.add(path, f"reward {name!r}: {words}", f"Its parameters, under `params`: {known}.")
            return False
        return True


def describe_conditional(metric: Conditional, *, is_short: bool = True) -> str:
    """A name for a metric over a part of the responses: mean tokens where reflects, tokens 300–600.

    Two analyses may have a column of one name: the long form says whose it is.
    """
    conditions = []
    for condition in metric.conditions:
        written = condition.column.spelling
        short = (written.rpartition(".")[2] if is_short else written).replace("_", " ")
        if isinstance(condition.wanted, bool):
            conditions.append(short if condition.wanted else f"not {short}")
        else:
            conditions.append(f"{short} {condition.wanted[0]:g}–{condition.wanted[1]:g}")
    options, name = "", metric.column.spelling
    if isinstance(metric.column, RewardValue):
        options = ", ".join(f"{key} {value}" for key, value in metric.column.params.items())
        name = metric.column.reward
    name = name.replace("_", " ") + (f" ({options})" if options else "")
    return f"{metric.statistic} {name}" + (f" where {', '.join(conditions)}" if conditions else "")
