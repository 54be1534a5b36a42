"""A cell's chain: base model → training stages → checkpoints, each an artifact shared by all cells that agree on it."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from pipeline import stages
from pipeline.fingerprint import Config
from pipeline.plan.lower.answers import Chain, Lineage, Rows, Step, Training
from pipeline.plan.lower.demands import BaseModel, CellChain, CellPolicy, CheckpointConfig
from pipeline.plan.lower.recipes import find_model, find_training
from pipeline.plan.lower.resolver import Resolver
from pipeline.plan.lower.rows import first_rows

if TYPE_CHECKING:
    from pipeline.stages.rl import RlConfig


def read_chain(resolver: Resolver, demand: CellChain) -> Chain | None:
    """The rule of `CellChain`; None without a base model."""
    study, cell = resolver.study, demand.cell
    if not study.chain:
        return None
    first = study.chain[0]
    model = find_model(resolver, first, cell)
    base = None if model is None else resolver.get(BaseModel(model, f"{first}={cell.level(first)}"))
    if base is None:
        return None
    steps = []
    for position, factor in enumerate(study.chain[1:], start=2):
        level = study.factors[factor].levels[cell.level(factor)]
        is_wanted = demand.trainings is None or factor in demand.trainings
        if level.settings is not None and is_wanted:
            title = " ".join(f"{name}={cell.level(name)}" for name in study.chain[:position])
            where = level.settings.locator(resolver.problems.document)(("rows",), False)
            steps.append(Step(find_training(resolver, factor, cell), title, where))
    return Chain(base, tuple(steps))


def train_chain(resolver: Resolver, demand: CellPolicy) -> Lineage | None:
    """The rule of `CellPolicy`: training stage by training stage, as far as no level is broken."""
    at = demand.at
    chain = resolver.get(CellChain(at.cell, demand.trainings))
    if chain is None:
        return None
    keys = [chain.base]
    for step in chain.steps:
        recipe, rows = step.recipe, None
        if recipe is not None and recipe.data is not None:
            rows = first_rows(resolver, recipe.data, recipe.rows, at.shift, step.where, at)
        if recipe is None or rows is None:
            return Lineage(tuple(keys), is_whole=False)
        keys.append(_train(resolver, recipe, keys[-1], rows, at.seed, f"{step.title} · seed {at.seed}"))
    return Lineage(tuple(keys), is_whole=True)


def _train(resolver: Resolver, recipe: Training, policy: str, rows: Rows, seed: int, title: str) -> str:
    graph = resolver.graph
    if recipe.stage == "sft":
        name = f"{graph.slugs[policy]}-sft-{rows.label}"
    else:
        config = cast("RlConfig", recipe.config)
        rewards = "-".join([_initials(term.name) for term in config.reward])
        name = f"{graph.slugs[policy]}-{config.algorithm}-{rewards}"
    inputs = {"policy": (policy,), "data": (rows.key,)}
    key = graph.add(recipe.stage, recipe.config, seed, inputs, title, name)
    if recipe.checkpoints:
        graph.want_checkpoints(key, recipe.checkpoints)
    return key


def add_checkpoints(resolver: Resolver, chain: Chain, run: str) -> list[tuple[int, str]]:
    """The checkpoints of a chain's last training (of its artifact `run`), each an artifact of its own."""
    last = chain.steps[-1].recipe if chain.steps else None
    if last is None or last.stage != "rl":
        return []
    graph, artifact = resolver.graph, resolver.graph.artifacts[run]
    found = []
    for step in last.checkpoints:
        config = resolver.get(CheckpointConfig(artifact.settled.index, step))
        if config is not None:
            inputs = {"run": (run,), **dict(artifact.inputs)}
            title, name = f"{artifact.title} · step {step}", f"{graph.slugs[run]}-step{step}"
            found.append((step, graph.add("checkpoint", config, artifact.seed, inputs, title, name)))
    return found


def read_checkpoint(resolver: Resolver, demand: CheckpointConfig) -> Config:
    """The rule of `CheckpointConfig`."""
    run = resolver.graph.settled[demand.run].config
    config: Config = stages.load("checkpoint").of_run(run, demand.step)
    return config


def _initials(name: str) -> str:
    """A reward's name, or its initials where it has several words."""
    words = name.split("_")
    return name if len(words) == 1 else "".join(word[0] for word in words)
