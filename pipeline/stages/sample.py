"""Sample k responses per problem of one benchmark from one policy."""

from __future__ import annotations

from typing import Literal

from pipeline.fingerprint import Config, content, placement
from pipeline.prompt import Prompt
from pipeline.stages import Counted, Placement, Stage, environment_of
from pipeline.stages._training import Precision


class SamplingConfig(Config):
    """The sampling protocol of every stage that draws responses, and where it runs."""

    temperature: float = content(0.6, describe="Sampling temperature; 0 is greedy.", ge=0)
    top_p: float = content(0.95, describe="Nucleus mass.", gt=0, le=1)
    max_new_tokens: int = content(describe="Tokens after which a response is cut.", ge=1)
    engine: Literal["transformers", "vllm"] = content("transformers", describe="The engine that samples.")
    precision: Precision = content("bf16", describe="Precision of the weights while sampling.")
    prompt: Prompt = content(Prompt(), describe="How a problem becomes a prompt.")

    gpus: int = placement(0, describe="GPUs of one job; 0 samples on the CPU.", ge=0)
    batch_size: int = placement(64, describe="Responses generated at once (transformers).", ge=1)
    shard_rows: int = placement(
        256, describe="Responses per shard; a killed job resumes after the last.", ge=1
    )
    vllm_memory: float = placement(0.85, describe="Share of GPU memory for vLLM.", gt=0, lt=1)


class SampleConfig(SamplingConfig):
    """The sampling protocol; with a seed, what decides the distribution of the responses."""

    samples: int = content(describe="Responses per problem (k of avg@k).", ge=1)


def place_sampling(config: SamplingConfig) -> Placement:
    """Where a stage that draws responses runs: under the engine's environment."""
    return Placement(environment=environment_of(config.engine), gpus=config.gpus)


STAGE = Stage(
    name="sample",
    version=2,
    config=SampleConfig,
    produces="completions",
    follows="checkpoint",
    summary="Sample k responses per problem.",
    place=place_sampling,
    imports_torch=True,
    shares_model=lambda config: (config.engine, config.precision, config.gpus),
    counted=Counted("responses", "responses"),
    is_in_status=True,
)
