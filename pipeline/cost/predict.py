"""`predict(kind, settings, site)`: the cost of a run that is no spec of ours. The shape of `settings`: docs/cost.md."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal

from pipeline import gpus
from pipeline.cost.decoding import Engine
from pipeline.cost.estimate import Cost, Estimate, Prior, evaluate, total
from pipeline.cost.lengths import VARIATION, fit_lengths
from pipeline.cost.rl import Padding, Rl
from pipeline.cost.sft import Sft
from pipeline.cost.shapes import settle_shape
from pipeline.cost.training import Sharding, Stack, Training
from pipeline.errors import InputError, suggest

Kind = Literal["sft", "rl"]
LENGTH_FOLDS = {"measured": 1.0, "sft": 1.3, "rl": 1.5}


@dataclass(frozen=True, slots=True)
class _Common:
    """Settings of both kinds."""

    model: Any
    gpus: int
    gpu: str
    node_gpus: int | None = None
    sharding: Sharding = "zero3"
    stack: Stack | None = None
    recomputation: bool = True
    fused: bool = False
    lora: bool = False
    offload: bool = False
    micro_batch: float | None = None
    unit: str = "gpu_hours"
    cut: float = 16_384
    variation: float = VARIATION
    times: float = 1.0


@dataclass(frozen=True, slots=True)
class SftSettings(_Common):
    """Settings of a fine-tuning: rows × epochs of so many tokens, or `tokens` in all."""

    rows: float | None = None
    epochs: float = 1.0
    tokens_per_row: float | None = None
    tokens: float | None = None
    batch: float | None = None
    packed: bool = False


@dataclass(frozen=True, slots=True)
class RlSettings(_Common):
    """Settings of a run of reinforcement learning."""

    steps: float = 0
    prompts: float = 0
    rollouts: float = 8
    prompt_tokens: float = 150
    mean_response: float | None = None
    generators: int = 0
    tp: int = 1
    max_sequences: int = 256
    memory_share: float = 0.6
    padding: Padding = "pass"
    reference: bool = False
    old: bool = True
    overlapped: bool = False
    eager: bool = False


def predict(kind: Kind, settings: Mapping[str, Any], site: Mapping[str, Any] | None = None) -> Estimate:
    """The cost of one run, or of several under `runs`, in the settings' `unit`, as an 80 % interval.

    Units: `gpu_hours`, `gpu_hours_per_1e9_tokens` (SFT's updates alone), `seconds_per_step` (RL). `site` gives
    defaults for gpu, node_gpus. InputError for what is unknown or missing.
    """
    return predict_cost(kind, settings, site).estimate()


def predict_cost(kind: Kind, settings: Mapping[str, Any], site: Mapping[str, Any] | None = None) -> Cost:
    """As `predict`, before intervals are joined: costs of several runs may be added."""
    if kind not in ("sft", "rl"):
        raise InputError(f"there is no cost model for {kind!r}", suggest(str(kind), ("sft", "rl")))
    given = {**(site or {}), **settings}
    runs = given.pop("runs", None)
    if runs is not None:
        return total(predict_cost(kind, {**given, **run}) for run in runs)
    model = SftSettings if kind == "sft" else RlSettings
    names = [field.name for field in fields(model)]
    for key in given:
        if key not in names:
            raise InputError(f"unknown setting {key!r}", suggest(key, names))
    for key in ("model", "gpus", "gpu"):
        if given.get(key) is None:
            raise InputError(f"the settings lack {key!r}", "Give it: docs/cost.md has every setting.")
    settled = model(**given)
    return _sft(settled) if isinstance(settled, SftSettings) else _rl(settled)


def _training(settings: _Common, stack: Stack) -> Training:
    gpu = gpus.get(settings.gpu)
    return Training(
        shape=settle_shape(settings.model),
        gpu=gpu,
        gpus=int(settings.gpus),
        node_gpus=settings.node_gpus or gpu.node_gpus,
        sharding="none" if settings.gpus == 1 else settings.sharding,
        stack=settings.stack or stack,
        is_recomputed=settings.recomputation,
        is_fused=settings.fused,
        is_lora=settings.lora,
        is_offloaded=settings.offload,
    )


def _sft(settings: SftSettings) -> Cost:
    training = _training(settings, "hf")
    per_row = settings.tokens_per_row or settings.cut
    if settings.tokens is not None:
        sequences = settings.tokens / per_row
    elif settings.rows is not None:
        sequences = settings.rows * settings.epochs
    else:
        raise InputError("the settings lack 'rows' or 'tokens'", "Give how much is trained on.")
    micro = settings.micro_batch or 1.0
    batch = settings.batch or micro * settings.gpus
    fold = 1.0 if settings.tokens is not None or settings.packed else LENGTH_FOLDS["sft"]

    def formula(assumed: Any) -> float:
        mean = per_row * (assumed("tokens per row", Prior.within(1.0, fold)) if fold > 1 else 1.0)
        lengths = fit_lengths(mean, settings.cut, settings.variation)
        run = Sft(training, sequences, batch, micro, lengths, settings.cut if settings.packed else 0.0)
        per_tokens = settings.unit == "gpu_hours_per_1e9_tokens"
        seconds = run.gpu_seconds(assumed, is_whole_run=not per_tokens)
        return seconds / 3600 * (1e9 / (sequences * lengths.mean) if per_tokens else settings.times)

    return evaluate(formula)


def expected_response(model: Any, cut: float) -> float:
    """Mean response tokens along a run where nothing was measured: rises with the cut, far longer for R1's distills.

    Fitted to published runs (SimpleRL-Zoo 8k ≈ 1,000, DAPO 20k–28k ≈ 1,700–2,000; DeepScaleR 8k–24k ≈ 3,200–5,000).
    """
    is_reasoning = isinstance(model, str) and any(word in model.lower() for word in ("distill", "r1", "qwq"))
    return min(0.9 * cut, (36.0 if is_reasoning else 12.0) * math.sqrt(cut))


def _rl(settings: RlSettings) -> Cost:
    for key in ("steps", "prompts"):
        if not getattr(settings, key) > 0 and not (key == "steps" and settings.unit == "seconds_per_step"):
            raise InputError(f"the settings lack {key!r}", "Give it: docs/cost.md has every setting.")
    training = _training(settings, "rl")
    engine = Engine(
        training.shape,
        training.gpu,
        settings.tp,
        settings.memory_share,
        settings.max_sequences,
        settings.eager,
    )
    mean = settings.mean_response or expected_response(settings.model, settings.cut)
    fold = 1.15 if settings.mean_response else 1.8

    def formula(assumed: Any) -> float:
        lengths = fit_lengths(
            mean * assumed("response length", Prior.within(1.0, fold)), settings.cut, settings.variation
        )
        run = Rl(
            training, engine, settings.steps, settings.prompts, settings.rollouts, settings.prompt_tokens, lengths,
            settings.generators, settings.micro_batch or 4.0, settings.padding, settings.reference, settings.old,
            settings.overlapped,
        )  # fmt: skip
        if settings.unit == "seconds_per_step":
            return run.step_seconds(assumed)
        return run.gpu_seconds(assumed) / 3600 * settings.times

    return evaluate(formula)
