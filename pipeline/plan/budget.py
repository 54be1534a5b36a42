"""The budget of a plan on a cluster: GPU-hours per stage with their interval, price, makespan, memory, what is not known.

Only what would run is priced. Sums keep what jobs share (`pipeline.cost.estimate`): 54 trainings that rest on one
unknown efficiency are as uncertain as one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pipeline import gpus
from pipeline.cost.estimate import Cost, Estimate, Prior, total
from pipeline.cost.memory import Held, Peak, predict_peak
from pipeline.cost.schedule import Cluster, Schedule, Task, schedule
from pipeline.cost.shapes import ModelShape
from pipeline.gpus import Gpu
from pipeline.plan.compiled import Plan
from pipeline.plan.costs import PlanCosts
from pipeline.site import ClusterModel
from pipeline.stages import in_order
from pipeline.stages.rl import RlConfig
from pipeline.stages.sft import SftConfig

CPU_SECONDS = 120.0
"""Of a job without GPUs, in a schedule: they wait for GPU jobs, hardly ever the reverse."""
RESTART_SECONDS = 600.0
"""What a chunk of a job loses under a time limit: half a checkpoint interval and a start."""


@dataclass(frozen=True, slots=True)
class ClusterOffer:
    """What a cluster offers, from its site file. `price` per GPU-hour; None where nobody says."""

    gpu: Gpu
    nodes: int
    node_gpus: int
    limit_hours: float
    price: float | None
    fabric: float | None = None


def offer_of(cluster: ClusterModel, *, limit_hours: float) -> ClusterOffer:
    """A site file's cluster with its GPU's figures; StudyError where no file describes that GPU."""
    gpu = gpus.get(cluster.gpu)
    return ClusterOffer(
        gpu=gpu,
        nodes=cluster.nodes,
        node_gpus=cluster.node_gpus or gpu.node_gpus,
        limit_hours=limit_hours,
        price=cluster.price_per_gpu_hour,
        fabric=cluster.fabric_gb_s,
    )


@dataclass(frozen=True, slots=True)
class StageBudget:
    """One stage: how many of its jobs ask for GPUs, and their GPU-hours."""

    stage: str
    jobs: int
    gpu_hours: Estimate


@dataclass(frozen=True, slots=True)
class MemoryVerdict:
    """A training whose peak leaves less than 15 % of a GPU, or does not fit, and how many others peak alike."""

    title: str
    alike: int
    peak: Peak
    verdict: str


@dataclass(frozen=True, slots=True)
class Budget:
    """What a plan costs on a cluster. `gaps`: what is not known → an artifact whose cost is left out for it."""

    offer: ClusterOffer
    stages: tuple[StageBudget, ...]
    total: StageBudget
    schedule: Schedule
    longest: str | None
    memory: tuple[MemoryVerdict, ...]
    gaps: Mapping[str, str]

    @property
    def makespan_hours(self) -> tuple[float, float, float]:
        """Low, mid and high: the schedule at the middles, stretched as the total is."""
        mid, whole = self.schedule.seconds / 3600, self.total.gpu_hours
        if not whole.mid:
            return mid, mid, mid
        return mid * whole.low / whole.mid, mid, mid * whole.high / whole.mid


def find_budget(plan: Plan, offer: ClusterOffer, *, known: Mapping[str, Prior] | None = None) -> Budget:
    """Price what a plan would run on a cluster."""
    beliefs = dict(known or {})
    if offer.fabric is not None:
        beliefs.setdefault("fabric", Prior(offer.fabric, offer.fabric, offer.fabric, "site"))
    costs = PlanCosts(plan.artifacts, offer.gpu, node_gpus=offer.node_gpus, known=beliefs)
    priced: dict[str, Cost] = {}
    for key in plan.to_run:
        cost = costs.cost(key)
        if cost is not None:
            priced[key] = cost
    by_stage: dict[str, list[Cost]] = {}
    for key, cost in priced.items():
        by_stage.setdefault(plan.artifacts[key].stage, []).append(cost)
    stages = tuple(
        StageBudget(stage.name, len(by_stage[stage.name]), total(by_stage[stage.name]).estimate())
        for stage in in_order()
        if stage.name in by_stage
    )
    whole = StageBudget("total", len(priced), total(priced.values()).estimate())
    made = schedule(_tasks(plan, priced), _cluster(offer))
    longest = None if made.longest is None else plan.artifacts[made.longest].title
    return Budget(offer, stages, whole, made, longest, _memory(plan, costs, offer), costs.gaps)


def _cluster(offer: ClusterOffer) -> Cluster:
    return Cluster(offer.nodes, offer.node_gpus, offer.limit_hours * 3600, RESTART_SECONDS)


def _tasks(plan: Plan, priced: Mapping[str, Cost]) -> list[Task]:
    tasks = []
    for key in plan.to_run:
        artifact = plan.artifacts[key]
        asked = getattr(artifact.settled.config, "gpus", 0) or 0
        cost = priced.get(key)
        seconds = cost.mid * 3600 / asked if cost is not None and asked else CPU_SECONDS
        tasks.append(Task(key, seconds, asked if cost is not None else 0, artifact.input_keys))
    return tasks


def _memory(plan: Plan, costs: PlanCosts, offer: ClusterOffer) -> tuple[MemoryVerdict, ...]:
    """Trainings that hardly fit or do not, each kind of them once, the largest first."""
    found: dict[tuple[str, Peak], MemoryVerdict] = {}
    for key in plan.to_run:
        artifact = plan.artifacts[key]
        config = artifact.settled.config
        if not isinstance(config, (SftConfig, RlConfig)) or not config.gpus:
            continue
        policy = costs.policy(dict(artifact.inputs)["policy"][0])
        if policy is None:
            continue
        peak = predict_peak(_held(config, policy.shape))
        kind = (artifact.stage, peak)
        alike = found[kind].alike + 1 if kind in found else 0
        title = found[kind].title if kind in found else artifact.title
        found[kind] = MemoryVerdict(title, alike, peak, peak.verdict(offer.gpu))
    hard = [one for one in found.values() if one.verdict != "fits"]
    return tuple(sorted(hard, key=lambda one: -one.peak.total))


def _held(config: SftConfig | RlConfig, shape: ModelShape) -> Held:
    """What a training holds: a pass of its longest sequences."""
    if isinstance(config, SftConfig):
        sequences, longest = config.micro_batch or config.batch_size / config.processes, config.max_length
    else:
        rollouts = config.prompts_per_step * config.rollouts
        sequences = config.loss_batch or config.micro_batch or rollouts / config.processes
        longest = config.max_new_tokens
    rank = config.lora.rank if config.lora is not None else 0
    layer = 4 * shape.width + 2 * shape.heads + 2 * shape.keys + 3 * shape.feed_forward
    return Held(
        shape,
        tokens=sequences * longest,
        gpus=config.gpus,
        sharding=config.deepspeed,
        is_recomputed=config.gradient_checkpointing,
        adapter=float(rank * layer * shape.layers),
        loss="full" if isinstance(config, SftConfig) else "chunked",
    )
