"""The artifacts of a plan while it is made: each distinct one once, each configuration settled once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from pipeline import stages
from pipeline.fingerprint import Config
from pipeline.plan.artifact import Artifact, Inputs, Settled, fingerprint_of, settle, slug


class Graph:
    """All artifacts of one or several studies, each distinct one once."""

    def __init__(self) -> None:
        self.artifacts: dict[str, Artifact] = {}
        self.settled: list[Settled] = []
        self.slugs: dict[str, str] = {}
        self._by_config: dict[tuple[str, int], Settled] = {}
        self._by_dump: dict[tuple[str, str], Settled] = {}
        self._known: dict[tuple[Any, ...], str] = {}
        self._alive: list[Config] = []

    def settle(self, stage: str, config: Config) -> Settled:
        """The canonical form of a configuration; computed once per object, shared by equal ones.

        Equal means placement, too: two levels may differ in GPUs alone.
        """
        known = self._by_config.get((stage, id(config)))
        if known is not None:
            return known
        self._alive.append(config)
        fresh = settle(stage, stages.load(stage).version, config, len(self.settled))
        shared = self._by_dump.setdefault((stage, config.model_dump_json()), fresh)
        if shared is fresh:
            self.settled.append(fresh)
        self._by_config[(stage, id(config))] = shared
        return shared

    def add(
        self,
        stage: str,
        config: Config,
        seed: int,
        inputs: Mapping[str, tuple[str, ...]],
        title: str,
        name: str,
    ) -> str:
        """The key of the artifact of these arguments, added unless it is there; `name` becomes its slug."""
        settled = self._by_config.get((stage, id(config))) or self.settle(stage, config)
        known = (settled.index, seed, *inputs.items())
        key = self._known.get(known)
        if key is None:
            ordered: Inputs = tuple(sorted(inputs.items()))
            short = slug(name)
            key = f"{short}-{fingerprint_of(settled, seed, ordered)}"
            if key not in self.artifacts:
                self.artifacts[key] = Artifact(key, settled, seed, ordered, title)
                self.slugs[key] = short
            self._known[known] = key
        return key

    def want_checkpoints(self, run: str, steps: Iterable[int]) -> None:
        """Have a run publish these steps, too; a hint, which names nothing anew."""
        artifact = self.artifacts[run]
        wanted = sorted({*artifact.hints.get("checkpoints", ()), *steps})
        self.artifacts[run] = replace(artifact, hints={"checkpoints": wanted})

    def ancestors(self, keys: Sequence[str]) -> set[str]:
        """These artifacts and all that they are made from."""
        needed = set(keys)
        for key in reversed(self.artifacts):
            if key in needed:
                needed.update(self.artifacts[key].input_keys)
        return needed

    def keep(self, reports: Sequence[str]) -> tuple[dict[str, Artifact], list[Settled]]:
        """The artifacts that a report needs, and their configurations.

        Every data entry is lowered so that its errors show, one that a policy makes for the first cell: a plan, its
        unpinned names and a report's list of what is missing would count what nothing ever makes.
        """
        needed = self.ancestors(reports)
        if len(needed) == len(self.artifacts):
            return self.artifacts, self.settled
        kept = {key: artifact for key, artifact in self.artifacts.items() if key in needed}
        used = dict.fromkeys(artifact.settled.index for artifact in kept.values())
        moved = {old: replace(self.settled[old], index=new) for new, old in enumerate(used)}
        artifacts = {key: replace(a, settled=moved[a.settled.index]) for key, a in kept.items()}
        return artifacts, list(moved.values())
