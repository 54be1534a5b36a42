"""A cell's chain: base model → training stages → checkpoints, each an artifact shared by all cells that agree on it."""

from __future__ import annotations

from pipeline import stages
from pipeline.fingerprint import Config
from pipeline.plan.lower.answers import Rows, Training
from pipeline.plan.lower.demands import (
    At,
    BaseModel,
    CellChain,
    Chain,
    CheckpointConfig,
    FirstRows,
    OwnPolicy,
    Step,
)
from pipeline.plan.lower.recipes import find_model, find_training
from pipeline.plan.lower.resolver import Resolver
from pipeline.plan.lower.rows import rows_for
from pipeline.stages.checkpoint import of_run
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
            recipe, rows = find_training(resolver, factor, cell), None
            if recipe is not None and recipe.data is not None:
                where = level.settings.locator(resolver.problems.document)(("rows",), False)
                rows = FirstRows(recipe.data, recipe.rows, where=where)
            steps.append(Step(recipe, rows, title))
    return Chain(base, tuple(steps))


def find_own_policy(resolver: Resolver, demand: OwnPolicy) -> str | None:
    """The rule of `OwnPolicy`."""
    chain = resolver.get(CellChain(demand.at.cell, demand.trainings))
    policies = [] if chain is None else train(resolver, chain, demand.at)
    return policies[-1] if chain is not None and len(policies) > len(chain.steps) else None


def train(resolver: Resolver, chain: Chain, at: At) -> list[str]:
    """A replicate's base model and the policy after each training, up to the first that is broken."""
    policies = [chain.base]
    for step in chain.steps:
        rows = rows_for(resolver, step.rows, at, at.shift) if step.rows is not None else None
        if step.recipe is None or rows is None:
            break
        title = f"{step.title} · seed {at.seed}"
        policies.append(_train(resolver, step.recipe, policies[-1], rows, at.seed, title))
    return policies


def _train(resolver: Resolver, recipe: Training, policy: str, rows: Rows, seed: int, title: str) -> str:
    graph = resolver.graph
    name = f"{graph.slugs[policy]}-{stages.load_training(recipe.stage).slug(recipe.config, rows.label)}"
    inputs = {"policy": (policy,), "data": (rows.key,)}
    key = graph.add(recipe.stage, recipe.config, seed, inputs, title, name)
    if recipe.checkpoints:
        graph.want_checkpoints(key, recipe.checkpoints)
    return key


def add_checkpoints(resolver: Resolver, chain: Chain, run: str) -> list[tuple[int, str]]:
    """The checkpoints of a chain's last training (of its artifact `run`), each an artifact of its own."""
    last = chain.steps[-1].recipe if chain.steps else None
    if last is None:
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
    assert isinstance(run, RlConfig), "only a training that has checkpoints is asked for them"
    return of_run(run, demand.step)
