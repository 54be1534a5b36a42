"""One resolver for all of lowering: rules are asked through demands, and every answer is remembered.

Guarantees: a demand is answered once, and what is wrong with it noted once, however many ask; rules know each other
through demands only. Refuses: a circle of demands, noted with its place and answered with None. Every circle of a
study goes through a data entry, since nothing else is named by what it needs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from pipeline.plan.graph import Graph
from pipeline.plan.lower.datasets import Datasets
from pipeline.plan.lower.demands import DataEntry, Demand
from pipeline.plan.lower.entry_facts import EntryFacts
from pipeline.spec.levels import Problems
from pipeline.spec.study import Study

T = TypeVar("T")

_UNKNOWN: Any = object()

Rules = Mapping[type[Demand[Any]], Callable[["Resolver", Any], Any]]
"""Kind of demand → the function that answers it, given the resolver and the demand."""


class Resolver:
    """Answers demands for one study, adding artifacts to the graph and noting problems on the way."""

    def __init__(self, study: Study, graph: Graph, problems: Problems, rules: Rules) -> None:
        self.study = study
        self.graph = graph
        self.problems = problems
        self.datasets = Datasets(graph)
        self.facts = EntryFacts(study)
        self._rules = rules
        self._answers: dict[Demand[Any], Any] = {}
        self._open: list[Demand[Any]] = []

    def get(self, demand: Demand[T]) -> T | None:
        """The answer to a demand; None where what is wrong has been noted."""
        answer: T | None = self._answers.get(demand, _UNKNOWN)
        if answer is not _UNKNOWN:
            return answer
        if any(other.subject == demand.subject for other in self._open):
            self._note_circle(demand)
            return None
        self._open.append(demand)
        answer = self._rules[type(demand)](self, demand)
        self._open.pop()
        self._answers[demand] = answer
        return answer

    def _note_circle(self, demand: Demand[Any]) -> None:
        """Note that a demand needs itself, at the data entry through which the circle comes back."""
        path = [*self._open, demand]
        begins = next(i for i, other in enumerate(path) if other.subject == demand.subject)
        again = next((other.name for other in path[begins:] if isinstance(other, DataEntry)), None)
        if again is None:
            raise RecursionError(f"the rules of lowering ask for {demand} to answer {demand}")
        names = [other.name for other in self._open if isinstance(other, DataEntry)]
        what = f"data entries need each other in a circle: {' → '.join([*names, again])}"
        self.problems.add(("data", again), what, "Remove one of them.", key=True)
