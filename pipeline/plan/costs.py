"""What a plan's GPU jobs cost: each artifact's model, rows and lengths, then the formula of its stage.

Equal work is priced once (54 trainings are a dozen different ones), so a large plan costs little to price. What is not
known – a model whose size nobody tells, rows that no card counts – is a `gap`, named with the artifact that needs it;
its cost is left out, and the plan says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from pipeline.cost.cards import Family, find_card, response_prior
from pipeline.cost.decoding import Engine, rollout_seconds
from pipeline.cost.estimate import Assumed, Cost, Prior, evaluate
from pipeline.cost.lengths import fit_lengths
from pipeline.cost.rl import Rl
from pipeline.cost.sft import Sft
from pipeline.cost.shapes import ModelShape, find_shape, read_shape
from pipeline.cost.training import Stack, Training
from pipeline.errors import InputError
from pipeline.gpus import Gpu
from pipeline.plan.artifact import Artifact
from pipeline.stages._training import TrainingConfig
from pipeline.stages.base import StartConfig
from pipeline.stages.dialogue import DialogueConfig
from pipeline.stages.filter import FilterConfig
from pipeline.stages.mix import MixConfig
from pipeline.stages.rl import RlConfig
from pipeline.stages.sample import SampleConfig, SamplingConfig
from pipeline.stages.sft import SftConfig
from pipeline.stages.solve import SolveConfig
from pipeline.stages.source import SourceConfig
from pipeline.stages.subset import SubsetConfig

LONG_CHAINS = 1_500
"""Tokens per row from which a fine-tuning teaches long answers."""
START_SECONDS, ENGINE_SECONDS, DISK_RATE = 45.0, 75.0, 1.5e9
"""Process start and imports; vLLM's start with CUDA graphs; bytes per second of weights from a shared disk."""
START = Prior.within(1.0, 1.8)
ALONG_A_RUN = Prior.within(1.0, 1.8)
TEMPLATE_TOKENS = 60
TRANSFORMERS_SHARE = 0.3
VLLM_SEQUENCES = 256
MATCHED_DRAWS = 4.0
"""Draws per problem of a control of equal budget, where the budget's own number is not known yet."""


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


@dataclass(frozen=True, slots=True)
class Work:
    """What a job works on; `is_first` where it loads the policy that later jobs share."""

    policy: Policy
    rows: Rows
    is_first: bool


@dataclass(frozen=True, slots=True)
class Device:
    """The GPUs of a cluster."""

    gpu: Gpu
    node_gpus: int


class PlanCosts:
    """Prices artifacts of a plan on one kind of GPU. `artifacts` in an order in which inputs come first."""

    def __init__(
        self, artifacts: Mapping[str, Artifact], gpu: Gpu, *, node_gpus: int, known: Mapping[str, Prior]
    ) -> None:
        self.artifacts = artifacts
        self.gpu = gpu
        self.node_gpus = node_gpus
        self.known = known
        self.gaps: dict[str, str] = {}
        """What is not known → the first artifact that needs it."""
        self._policies: dict[str, Policy | None] = {}
        self._rows: dict[str, Rows | None] = {}
        self._loaded: set[tuple[object, ...]] = set()
        self._priced: dict[tuple[object, ...], Cost] = {}

    def cost(self, key: str) -> Cost | None:
        """GPU-hours of one artifact; None where it asks for no GPU or something is not known."""
        artifact = self.artifacts[key]
        config = artifact.settled.config
        if not isinstance(config, (SftConfig, RlConfig, SamplingConfig)) or not config.gpus:
            return None
        inputs = {role: keys[0] for role, keys in artifact.inputs}
        data = next((inputs[role] for role in ("data", "problems", "rows") if role in inputs), None)
        policy = self.policy(inputs["policy"])
        rows = None if data is None else self.data(data)
        if rows is None:
            self.gaps.setdefault("the number of rows of its data", key)
        if policy is None or rows is None:
            return None
        is_first = self._is_first(artifact)
        work = (artifact.stage, artifact.settled.index, policy, rows, is_first)
        if work not in self._priced:

            def formula(assumed: Assumed) -> float:
                return self._seconds(config, Work(policy, rows, is_first), assumed) / 3600

            self._priced[work] = evaluate(formula, self.known)
        return self._priced[work]

    def _seconds(self, config: SftConfig | RlConfig | SamplingConfig, work: Work, assumed: Assumed) -> float:
        """Device-seconds of one artifact's job."""
        if isinstance(config, SftConfig):
            return price_sft(config, work, self.device, assumed)
        if isinstance(config, RlConfig):
            return price_rl(config, work, self.device, assumed)
        return price_sampling(config, work, self.device, assumed)

    @property
    def device(self) -> Device:
        """What jobs run on."""
        return Device(self.gpu, self.node_gpus)

    def _is_first(self, artifact: Artifact) -> bool:
        """Whether a job loads its policy: of several samples of one policy the first does, for all of them."""
        config = artifact.settled.config
        if not isinstance(config, SampleConfig):
            return True
        family = (dict(artifact.inputs)["policy"], config.engine, config.precision, config.gpus)
        is_first = family not in self._loaded
        self._loaded.add(family)
        return is_first

    def policy(self, key: str) -> Policy | None:
        """What is known of a policy; None where its size is not (a gap is noted)."""
        if key not in self._policies:
            self._policies[key] = self._find_policy(key)
        return self._policies[key]

    def _find_policy(self, key: str) -> Policy | None:
        artifact = self.artifacts[key]
        inputs = {role: keys[0] for role, keys in artifact.inputs}
        if not isinstance(artifact.settled.config, StartConfig):
            parent = self.policy(inputs.get("policy") or inputs["run"])
            if (
                parent is None
                or parent.family != "instruct"
                or not isinstance(artifact.settled.config, SftConfig)
            ):
                return parent
            rows = self.data(inputs["data"])
            is_long = rows is not None and rows.response >= LONG_CHAINS
            return replace(parent, family="long") if is_long else parent
        config = artifact.settled.config
        name = (
            config.hub.name
            if config.hub is not None
            else config.local.path
            if config.local is not None
            else ""
        )
        shape = find_shape(name) if config.local is None else _read_local(Path(name))
        if shape is None:
            if name:  # a tiny model has a shape of its own and costs no GPU
                self.gaps.setdefault(f"the size of {name}", key)
            return None
        is_reasoning = any(word in name.lower() for word in ("distill", "-r1", "qwq", "reason"))
        return Policy(shape, "reasoning" if is_reasoning else "instruct")

    def data(self, key: str) -> Rows | None:
        """What is known of a data set or of responses; None where nobody tells how many rows there are."""
        if key not in self._rows:
            self._rows[key] = self._find_rows(key)
        return self._rows[key]

    def _find_rows(self, key: str) -> Rows | None:
        artifact = self.artifacts[key]
        config = artifact.settled.config
        if isinstance(config, SourceConfig):
            return _source_rows(config, artifact.title)
        of = dict(artifact.inputs)
        role = next((role for role in ROLES if role in of), None)
        given = [] if role is None else [self.data(name) for name in of[role]]
        if not given or given[0] is None:
            return None
        first = given[0]
        if isinstance(config, SubsetConfig):
            return replace(first, rows=config.rows)
        if isinstance(config, MixConfig):
            return _mix(config, first, given)
        if isinstance(config, FilterConfig):
            limits = [
                float(step.params["max"])
                for step in config.filters
                if step.name == "max_tokens" and "max" in step.params
            ]
            return replace(first, response=min([first.response, *limits]))
        if isinstance(config, SamplingConfig):
            policy = self.policy(of["policy"][0])
            prior = response_prior(policy.family if policy else "instruct", first.name, config.max_new_tokens)
            samples = config.samples if isinstance(config, (SampleConfig, DialogueConfig)) else 1
            return replace(first, rows=first.rows * samples, response=prior.mid, width=1.6)
        return first


ROLES = ("rows", "problems", "dialogues", "completions", "scores")
"""Inputs whose rows an artifact passes on, in the order in which they are looked for."""


def _read_local(folder: Path) -> ModelShape | None:
    try:
        return read_shape(folder / "config.json")
    except InputError:
        return None


def _mix(config: MixConfig, first: Rows, parts: list[Rows | None]) -> Rows | None:
    """A mixture: its parts' quotas or all of them, their mean length; None where a part's rows are not known."""
    known = [part for part in parts if part is not None]
    if len(known) < len(parts):
        return None
    if config.quotas is not None:
        sizes = [
            part.rows if quota is None else quota for quota, part in zip(config.quotas, known, strict=True)
        ]
    else:
        shares = config.weights or ()
        sizes = [(config.rows or 0) * share / sum(shares) for share in shares]
    mean = sum(size * part.response for size, part in zip(sizes, known, strict=True)) / max(1.0, sum(sizes))
    return replace(first, rows=sum(sizes), response=mean)


def _source_rows(config: SourceConfig, title: str) -> Rows | None:
    """Rows of a source: those that it must give, those that a generator makes, or those of its card."""
    if config.synthetic is not None:
        return Rows(config.synthetic.rows, 150, 60, 2.0, title)
    if config.hub is None:
        return Rows(config.expected_rows, 500, 120, 2.0, title) if config.expected_rows else None
    card, width = find_card(config.hub.name, config.hub.config)
    rows = config.expected_rows or card.rows
    return None if rows is None else Rows(rows, card.response, card.problem, width, title)


def _training(config: TrainingConfig, device: Device, shape: ModelShape, stack: Stack) -> Training:
    return Training(
        shape=shape,
        gpu=device.gpu,
        gpus=config.gpus,
        node_gpus=device.node_gpus,
        sharding=config.deepspeed,
        stack=stack,
        is_recomputed=config.gradient_checkpointing,
        is_fused=False,
        is_lora=config.lora is not None,
        is_offloaded=False,
    )


def _start(assumed: Assumed, shape: ModelShape, *, has_engine: bool) -> float:
    """Seconds from a job's start to its first useful step: imports, weights from a shared disk, the engine's start."""
    read = 2 * shape.parameters / DISK_RATE
    return (START_SECONDS + read + (ENGINE_SECONDS if has_engine else 0.0)) * assumed("start of a job", START)


def price_sft(config: SftConfig, work: Work, device: Device, assumed: Assumed) -> float:
    """Device-seconds of a fine-tuning (pipeline/cost/sft.py)."""
    rows, shape = work.rows, work.policy.shape
    relative = assumed(f"tokens per row of {rows.name}", Prior.within(1.0, rows.width))
    lengths = fit_lengths(min(rows.response * relative + rows.problem, config.max_length), config.max_length)
    micro = config.micro_batch or config.batch_size / config.processes
    packed = config.max_length if config.packing == "isolated" else 0.0
    run = Sft(
        _training(config, device, shape, "hf"),
        rows.rows * config.epochs,
        config.batch_size,
        micro,
        lengths,
        packed,
    )
    return run.gpu_seconds(assumed) + config.gpus * _start(assumed, shape, has_engine=False)


def price_rl(config: RlConfig, work: Work, device: Device, assumed: Assumed) -> float:
    """Device-seconds of a run of reinforcement learning (pipeline/cost/rl.py); TRL pads to the longest of a round."""
    shape, is_vllm = work.policy.shape, config.rollout_engine == "vllm"
    share = config.vllm_memory if is_vllm else TRANSFORMERS_SHARE
    engine = Engine(shape, device.gpu, config.vllm_tensor_parallel, share, is_eager=not is_vllm)
    prior = response_prior(work.policy.family, work.rows.name, config.max_new_tokens)
    mean = prior.mid * assumed(f"response length, {work.policy.family}, training", ALONG_A_RUN)
    served = config.updates_per_generation * config.iterations
    responses = config.prompts_per_step * config.rollouts
    run = Rl(
        training=_training(config, device, shape, "rl"),
        engine=engine,
        rounds=config.steps / served,
        prompts=config.prompts_per_step * config.updates_per_generation,
        rollouts=config.rollouts,
        prompt_tokens=work.rows.problem + TEMPLATE_TOKENS,
        lengths=fit_lengths(mean, config.max_new_tokens),
        micro_batch=config.loss_batch or config.micro_batch or responses / config.processes,
        padding="round",
        has_reference=config.kl > 0,
        has_old=served > 1 or is_vllm,
        iterations=config.iterations,
    )
    return run.gpu_seconds(assumed) + config.gpus * _start(assumed, shape, has_engine=is_vllm)


def price_sampling(config: SamplingConfig, work: Work, device: Device, assumed: Assumed) -> float:
    """Device-seconds of drawing responses (pipeline/cost/decoding.py)."""
    shape, family, is_vllm = work.policy.shape, work.policy.family, config.engine == "vllm"
    at_once = VLLM_SEQUENCES if is_vllm else config.batch_size
    engine = Engine(shape, device.gpu, config.gpus, config.vllm_memory, at_once, is_eager=not is_vllm)
    prior = response_prior(family, work.rows.name, config.max_new_tokens)
    relative = assumed(f"response length, {family}, sampling", Prior.within(1.0, prior.high / prior.mid))
    lengths = fit_lengths(prior.mid * relative, config.max_new_tokens)
    count = work.rows.rows * _draws(config)
    seconds = rollout_seconds(
        engine, assumed, count, work.rows.problem + TEMPLATE_TOKENS, lengths, all_sequences=count
    )
    start = _start(assumed, shape, has_engine=is_vllm) if work.is_first else 0.0
    return config.gpus * (seconds + start)


def _draws(config: SamplingConfig) -> float:
    """Responses per problem: of rounds of rejection each further one is drawn for half of the problems; four turns of a dialogue."""
    if isinstance(config, SolveConfig):
        return (
            sum(samples * 0.5**i for i, samples in enumerate(config.rounds))
            if config.rounds
            else MATCHED_DRAWS
        )
    if isinstance(config, DialogueConfig):
        return 4.0 * config.samples
    return float(config.samples) if isinstance(config, SampleConfig) else 1.0
