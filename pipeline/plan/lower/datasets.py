"""The data sets of a study as its report names them: kept while they are added to the graph."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

from pipeline.fingerprint import Config
from pipeline.plan.graph import Graph
from pipeline.request.units import DataNode


class Datasets:
    """The artifacts on the way to a study's data, in the order in which they were asked for."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._nodes: dict[str, DataNode] = {}

    def add(
        self,
        stage: str,
        config: Config,
        seed: int,
        inputs: Mapping[str, tuple[str, ...]],
        title: str,
        name: str,
    ) -> str:
        """`Graph.add` of an artifact that is one of the study's data sets."""
        key = self._graph.add(stage, config, seed, inputs, title, name)
        if key not in self._nodes:
            given = [k for keys in inputs.values() for k in keys]
            parents = tuple(k if k in self._nodes else self._graph.artifacts[k].title for k in given)
            self._nodes[key] = DataNode(name=title, stage=stage, key=key, inputs=parents)
        return key

    def named_apart(self) -> list[DataNode]:
        """The data sets; those that several policies make alike, with the policy that made each."""
        counted = Counter(node.name for node in self._nodes.values())
        return [
            replace(node, name=f"{node.name} · {maker}")
            if counted[node.name] > 1 and (maker := self._maker(node.key))
            else node
            for node in self._nodes.values()
        ]

    def _maker(self, key: str) -> str | None:
        """The policy that a data set comes from, in the study's words: of several the one with the longest chain."""
        inputs = dict(self._graph.artifacts[key].inputs)
        if "policy" in inputs:
            return self._graph.artifacts[inputs["policy"][0]].title
        makers = [self._maker(other) for keys in inputs.values() for other in keys]
        return max(filter(None, makers), key=len, default=None)
