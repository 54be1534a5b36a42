"""The stages: one file each, named like its stage, with the configuration and every fact that others ask about it.

    STAGE = Stage(name=…, version=…, config=…, produces=…, follows=…, summary=…, …)

The planner, the back end, the commands and the report know a stage by this declaration alone. Its work is `run(job)`
of the engine of the same name, which nothing but the stage's own process imports (`pipeline.backend.stage_process`).
Stages are found by their files and imported when they are asked for; what several share lies in files that begin
with an underscore.
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

from pipeline.errors import StudyError, suggest
from pipeline.fingerprint import Config

Product = Literal["dataset", "policy", "completions", "dialogues", "scores", "measures", "report"]
Environment = Literal["training", "vllm"]
"""The pinned environments of envs/."""
Sharding = Literal["none", "zero2", "zero3"]

UNPINNED = "unpinned"
"""Stands where a hub name's commit should: it can be planned, not run."""

C = TypeVar("C", bound=Config)


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Where a configuration's jobs run: settled when a plan is frozen, and never part of an identity."""

    environment: Environment = "training"
    gpus: int = 0
    processes: int = 1
    """Processes that accelerate spreads the stage over, one per GPU where there are GPUs."""
    deepspeed: Sharding = "none"

    @property
    def is_launched(self) -> bool:
        """Whether accelerate starts the stage: several processes, or DeepSpeed, which wants a launcher for one, too."""
        return self.processes > 1 or self.deepspeed != "none"


@dataclass(frozen=True, slots=True)
class HubName:
    """A repository that a configuration takes from the hub, and the commit that it is pinned to."""

    kind: Literal["models", "datasets"]
    name: str
    commit: str | None

    @property
    def is_pinned(self) -> bool:
        """Whether it will be the same tomorrow."""
        return self.commit not in (None, UNPINNED)


@dataclass(frozen=True, slots=True)
class Counted:
    """The count of a record that stands for the artifact's size, and what is counted."""

    fact: str
    unit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Training(Generic[C]):
    """What makes a stage one that a factor of a study may stand for: it takes a policy and data, and makes a policy."""

    slug: Callable[[C, str], str]
    """(configuration, what its rows are called) → what is added to the name of the policy it starts from."""
    logs: tuple[str, ...] = ()
    """The quantities `training.…` that its log.parquet holds."""
    has_rewards: bool = False
    """Whether a level names rewards of the catalogue, in the field `reward`."""
    has_checkpoints: bool = False
    """Whether a level may ask for policies of earlier `steps`, which stage `checkpoint` then publishes."""


def _nowhere_special(_: Config) -> Placement:
    return Placement()


def _no_names(_: Config) -> Iterable[HubName]:
    return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage(Generic[C]):
    """Every fact about one stage."""

    name: str
    version: int
    """Raised when the same configuration and inputs give another result: it is part of every fingerprint."""
    config: type[C]
    produces: Product
    follows: str | None
    """The stage after which it is listed; None for the first."""
    summary: str
    """One line for people: what a job of this stage does."""
    place: Callable[[C], Placement] = _nowhere_special
    imports_torch: bool = False
    """Whether a job spends seconds on imports even where it has no input `policy`, whose tokenizer it would load."""
    training: Training[C] | None = None
    hub_names: Callable[[C], Iterable[HubName]] = _no_names
    shares_model: Callable[[C], Hashable] | None = None
    """Jobs with equal input `policy` and equal values of this are served by one of them, which loads the model once."""
    counted: Counted = Counted("rows_out", "rows")
    is_in_status: bool = False
    """Whether `studyc status` has a column for it."""


@functools.cache
def names() -> tuple[str, ...]:
    """The names of all stages, sorted; imports none of them."""
    return tuple(sorted(module.name for module in pkgutil.iter_modules(__path__) if module.name[0] != "_"))


@functools.cache
def load(name: str) -> Stage[Any]:
    """The declaration of one stage; light to import, for no stage imports its engine."""
    if name not in names():
        raise StudyError(f"there is no stage {name!r}", suggest(name, names()))
    stage: Stage[Any] = importlib.import_module(f"{__name__}.{name}").STAGE
    return stage


@functools.cache
def in_order() -> tuple[Stage[Any], ...]:
    """All stages, in the order in which a study goes through them."""
    return tuple(sorted(map(load, names()), key=lambda stage: (_position(stage), stage.name)))


def _position(stage: Stage[Any]) -> int:
    return 0 if stage.follows is None else 1 + _position(load(stage.follows))


@functools.cache
def trainings() -> tuple[str, ...]:
    """The stages that a factor of a study may stand for, beside `model`."""
    return tuple(stage.name for stage in in_order() if stage.training is not None)


def load_training(name: str) -> Training[Any]:
    """What a training stage declares beside the facts that every stage has."""
    training = load(name).training
    if training is None:
        raise StudyError(f"stage {name!r} trains no policy", suggest(name, trainings()))
    return training


def environment_of(engine: str) -> Environment:
    """The environment in which an engine that samples is installed."""
    return "vllm" if engine == "vllm" else "training"
