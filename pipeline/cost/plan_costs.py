"""What a plan's GPU jobs cost: each artifact's model, rows and lengths, then the formula of its stage.

Equal work is priced once (54 trainings are a dozen different ones), so a large plan costs little to price. What is not
known – a model whose size nobody tells, rows that no card counts – is a `gap`, named with the artifact that needs it;
its cost is left out, and the plan says so.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pipeline.cost.cards import CARDS, Family, find_card, response_prior
from pipeline.cost.decoding import Engine, rollout_seconds
from pipeline.cost.estimate import Assumed, Cost, Prior, evaluate, total
from pipeline.cost.lengths import fit_lengths
from pipeline.cost.rl import Rl
from pipeline.cost.sft import Sft
from pipeline.cost.shapes import ModelShape, find_shape, read_shape
from pipeline.cost.training import Training
from pipeline.errors import InputError
from pipeline.gpus import Gpu

LONG_CHAINS = 1_500
"""Tokens per row from which a fine-tuning teaches long answers."""
START_SECONDS = 45.0
"""Process start, imports, and reading weights from a shared disk, without an engine."""
ENGINE_SECONDS = 75.0
"""vLLM's start with CUDA graphs."""
START = Prior.within(1.0, 1.8)


@dataclass(frozen=True, slots=True)
class Rows:
    """A data set as far as its cost goes: rows, tokens of a response and of a problem, and how well they are known."""

    rows: float
    response: float
    problem: float
    width: float
    name: str


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy: its shape and how it answers."""

    shape: ModelShape
    family: Family


class PlanCosts:
    """Prices artifacts of a plan on one kind of GPU. `artifacts` in an order in which inputs come first."""

    def __init__(
        self, artifacts: Mapping[str, Any], gpu: Gpu, *, node_gpus: int, known: Mapping[str, Prior]
    ) -> None:
        self.artifacts = artifacts
        self.gpu = gpu
        self.node_gpus = node_gpus
        self.known = known
        self.gaps: dict[str, str] = {}
        """What is not known → the first artifact that needs it."""
        self._policies: dict[str, Policy | None] = {}
        self._rows: dict[str, Rows | None] = {}
        self._priced: dict[tuple[Any, ...], Cost] = {}

    def cost(self, key: str) -> Cost | None:
        """GPU-hours of one artifact; None where it asks for no GPU or something is not known."""
        artifact = self.artifacts[key]
        config, stage = artifact.settled.config, artifact.stage
        gpus = getattr(config, "gpus", 0) or 0
        if stage == "checkpoint":
            return None
        price = _PRICES.get(stage)
        if not gpus or price is None:
            return None
        inputs = {role: keys[0] for role, keys in artifact.inputs}
        policy = self._policy(inputs.get("policy"), key)
        rows = self._data(
            inputs.get("data") or inputs.get("problems") or inputs.get("rows") or inputs.get("completions")
        )
        if policy is None or rows is None:
            if rows is None:
                self.gaps.setdefault("the number of rows of its data", key)
            return None
        work = (stage, artifact.settled.index, policy, rows)
        if work not in self._priced:
            formula = functools.partial(price, self, config, policy, rows)
            self._priced[work] = evaluate(formula, self.known).times(1 / 3600)
        return self._priced[work]

    def _policy(self, key: str | None, asking: str) -> Policy | None:
        if key is None:
            return None
        if key not in self._policies:
            self._policies[key] = self._find_policy(key)
        return self._policies[key]

    def _find_policy(self, key: str) -> Policy | None:
        artifact = self.artifacts[key]
        config, inputs = artifact.settled.config, {role: keys[0] for role, keys in artifact.inputs}
        if artifact.stage != "base":
            parent = self._policy(inputs.get("policy") or inputs.get("run"), key)
            if parent is None or artifact.stage != "sft":
                return parent
            rows = self._data(inputs["data"])
            is_long = rows is not None and rows.response >= LONG_CHAINS
            return replace(parent, family="long") if is_long and parent.family == "instruct" else parent
        if config.tiny is not None:
            return None
        name = config.hub.name if config.hub is not None else config.local.path
        shape = find_shape(name)
        if config.local is not None:
            try:
                shape = read_shape(Path(config.local.path) / "config.json")
            except InputError:
                shape = None
        if shape is None:
            self.gaps.setdefault(f"the size of {name}", key)
            return None
        is_reasoning = any(word in name.lower() for word in ("distill", "-r1", "qwq", "reason"))
        return Policy(shape, "reasoning" if is_reasoning else "instruct")

    def _data(self, key: str | None) -> Rows | None:
        if key is None:
            return None
        if key not in self._rows:
            self._rows[key] = self._find_rows(key)
        return self._rows[key]

    def _find_rows(self, key: str) -> Rows | None:
        artifact = self.artifacts[key]
        stage, config = artifact.stage, artifact.settled.config
        if stage == "source":
            return _source_rows(config, artifact.title)
        given = {
            role: [self._data(name) for name in keys]
            for role, keys in artifact.inputs
            if role not in ("policy", "against", "compressor", "budget")
        }
        whole = next(
            (
                found
                for role in ("rows", "problems", "completions", "dialogues", "scores")
                for found in given.get(role, ())
            ),
            None,
        )
        if whole is None:
            return None
        if stage == "subset":
            return replace(whole, rows=config.rows)
        if stage == "mix":
            parts = given["rows"]
            if any(part is None for part in parts):
                return None
            quotas = config.quotas or (None,) * len(parts)
            sizes = [part.rows if quota is None else quota for part, quota in zip(parts, quotas, strict=True)]
            rows = sum(sizes) if config.rows is None else config.rows
            mean = sum(size * part.response for size, part in zip(sizes, parts, strict=True)) / max(
                1, sum(sizes)
            )
            return replace(whole, rows=rows, response=mean)
        if stage == "filter":
            cut = min(
                (float(step.params.get("max", 1e9)) for step in config.filters if step.name == "max_tokens"),
                default=1e9,
            )
            return replace(whole, response=min(whole.response, cut))
        if stage in ("sample", "solve", "dialogue"):
            policy = self._policy(dict(artifact.inputs)["policy"][0], key)
            family: Family = policy.family if policy is not None else "instruct"
            prior = response_prior(family, whole.name, config.max_new_tokens)
            rounds = getattr(config, "rounds", ())
            samples = getattr(config, "samples", 1) if not rounds else 1
            return replace(whole, rows=whole.rows * samples, response=prior.mid, width=1.6)
        return whole


def _source_rows(config: Any, title: str) -> Rows | None:
    """Rows of a source: those that it must give, those that a generator makes, or those of its card."""
    if config.synthetic is not None:
        return Rows(config.synthetic.rows, 150, 60, 2.0, title)
    if config.hub is None:
        return Rows(config.expected_rows, 500, 120, 2.0, title) if config.expected_rows else None
    card, width = find_card(config.hub.name, config.hub.config)
    rows = config.expected_rows or card.rows
    return None if rows is None else Rows(rows, card.response, card.problem, width, title)


def _training(costs: PlanCosts, config: Any, shape: ModelShape, stack: str) -> Training:
    sharding = {"none": "none", "zero2": "zero2", "zero3": "zero3"}[config.deepspeed]
    return Training(
        shape=shape,
        gpu=costs.gpu,
        gpus=config.gpus,
        node_gpus=costs.node_gpus,
        sharding=sharding,
        stack=stack,
        is_recomputed=config.gradient_checkpointing,
        is_fused=False,
        is_lora=config.lora is not None,
        is_offloaded=False,
    )


def _start(assumed: Assumed, shape: ModelShape, *, has_engine: bool) -> float:
    read = 2 * shape.parameters / 1.5e9
    return (START_SECONDS + read + (ENGINE_SECONDS if has_engine else 0.0)) * assumed("start of a job", START)


def _price_sft(costs: PlanCosts, config: Any, policy: Policy, rows: Rows, assumed: Assumed) -> float:
    training = _training(costs, config, policy.shape, "hf")
    mean = min(rows.response, config.max_length) * assumed(
        f"tokens per row of {rows.name}", Prior.within(1.0, rows.width)
    )
    lengths = fit_lengths(mean + rows.problem, config.max_length)
    micro = config.micro_batch or config.batch_size / config.processes
    packed = config.max_length if config.packing == "isolated" else 0.0
    run = Sft(training, rows.rows * config.epochs, config.batch_size, micro, lengths, packed)
    return run.gpu_seconds(assumed) + config.gpus * _start(assumed, policy.shape, has_engine=False)


def _price_rl(costs: PlanCosts, config: Any, policy: Policy, rows: Rows, assumed: Assumed) -> float:
    training = _training(costs, config, policy.shape, "rl")
    is_vllm = config.rollout_engine == "vllm"
    engine = Engine(
        policy.shape,
        costs.gpu,
        config.vllm_tensor_parallel,
        config.vllm_memory if is_vllm else 0.3,
        is_eager=not is_vllm,
    )
    prior = response_prior(policy.family, rows.name, config.max_new_tokens)
    mean = prior.mid * assumed(f"response length, {policy.family}, training", Prior.within(1.0, 1.8))
    updates = config.updates_per_generation
    responses = config.prompts_per_step * config.rollouts
    run = Rl(
        training, engine, config.steps / (updates * config.iterations), config.prompts_per_step * updates,
        config.rollouts, rows.problem + 60, fit_lengths(mean, config.max_new_tokens),
        micro_batch=config.micro_batch or max(1.0, responses / config.processes), padding="round",
        has_reference=config.kl > 0, has_old=updates * config.iterations > 1 or is_vllm,
    )  # fmt: skip
    again = config.iterations - 1
    seconds = run.gpu_seconds(assumed) * (1 + 0.5 * again)
    return seconds + config.gpus * _start(assumed, policy.shape, has_engine=is_vllm)


def _price_sampling(costs: PlanCosts, config: Any, policy: Policy, rows: Rows, assumed: Assumed) -> float:
    is_vllm = config.engine == "vllm"
    engine = Engine(
        policy.shape, costs.gpu, config.gpus if is_vllm else 1, config.vllm_memory,
        256 if is_vllm else config.batch_size, is_eager=not is_vllm,
    )  # fmt: skip
    prior = response_prior(policy.family, rows.name, config.max_new_tokens)
    relative = Prior.within(1.0, prior.high / prior.mid)
    mean = prior.mid * assumed(f"response length, {policy.family}, sampling", relative)
    lengths = fit_lengths(mean, config.max_new_tokens)
    count = rows.rows * _draws(config)
    seconds = rollout_seconds(engine, assumed, count, rows.problem + 60, lengths, all_sequences=count)
    return config.gpus * (seconds + _start(assumed, policy.shape, has_engine=is_vllm))


def _draws(config: Any) -> float:
    """Responses per problem. Rounds of rejection: each further round is drawn for the half that is unsolved."""
    rounds = getattr(config, "rounds", None)
    if rounds is None:
        return float(getattr(config, "samples", 1))
    return sum(samples * 0.5**i for i, samples in enumerate(rounds)) if rounds else 4.0


_PRICES = {
    "sft": _price_sft,
    "rl": _price_rl,
    "sample": _price_sampling,
    "solve": _price_sampling,
    "dialogue": lambda costs, config, policy, rows, assumed: (
        4 * _price_sampling(costs, config, policy, rows, assumed)
    ),
}
"""The formula of each stage that may use GPUs."""

__all__ = ["CARDS", "PlanCosts", "total"]
