"""What the demands of lowering are answered with.

Named tuples: the planner makes these classes whenever it starts, and a dataclass takes ten times as long.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from pipeline.locate import PathTuple
from pipeline.spec.levels import Settings

if TYPE_CHECKING:
    from pipeline.stages.base import StartConfig
    from pipeline.stages.judge import JudgeConfig
    from pipeline.stages.rl import RlConfig
    from pipeline.stages.sample import SampleConfig
    from pipeline.stages.sft import SftConfig

Selectors = tuple[Mapping[str, Any], ...]
"""Selectors of cells and checkpoints."""

Inputs = dict[str, tuple[str, ...]]
"""Role → keys of artifacts."""


class Rows(NamedTuple):
    """A dataset artifact and the most rows that it can hold, where that is known."""

    key: str
    at_most: int | None
    name: str
    label: str
    """What a policy trained on it is called after: the number of rows of a subset, else the name."""


class Model(NamedTuple):
    """A model from outside: how it is obtained, and the data entries that a tiny one is pretrained on."""

    config: StartConfig
    data: tuple[str, ...] = ()


class Training(NamedTuple):
    """A validated level of a training factor: what runs, on how many rows of which data."""

    stage: str
    config: SftConfig | RlConfig
    data: str | None
    rows: int | None
    checkpoints: tuple[int, ...] = ()


class Protocol(NamedTuple):
    """A validated measure: how responses are sampled, to how many problems of which data."""

    config: SampleConfig
    data: str
    rows: int | None
    only: Selectors = ()
    """The cells (and checkpoints) where it is taken; everywhere when empty."""


class Judge(NamedTuple):
    """A resolved judge: what it is called in the study, its configuration, and the policy that answers, if any."""

    name: str
    config: JudgeConfig
    policy: str | None = None

    def inputs(self, role: str, key: str) -> Inputs:
        """The inputs of its artifact over one artifact of role `completions` or `rows`."""
        return {role: (key,), **({"policy": (self.policy,)} if self.policy is not None else {})}


class Words(NamedTuple):
    """A mapping that several stages share: what errors call it, its settings and its seed."""

    label: str
    settings: Settings
    seed: int

    def take(self, word: str) -> tuple[Any, PathTuple]:
        """A word's value, or None, and where it stands, or else where the mapping does."""
        return self.settings.values.get(word), self.settings.origins.get(word, self.settings.path)
