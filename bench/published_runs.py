"""What published runs cost, with the settings that their authors print, for `python -m bench budget`.

`settings` are those of `pipeline.cost.predict` (docs/cost.md). Where a source does not print a quantity (tokens per
row, mean response, the fabric), it is left to the prior, or taken from the data's card.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True)
class PublishedRun:
    """A run that somebody else paid for: `published` in the settings' unit."""

    name: str
    kind: Literal["sft", "rl"]
    published: float
    source: str
    settings: dict[str, Any]


def _verl(**settings: Any) -> dict[str, Any]:
    """verl's stack: fully sharded, rollouts packed, up to 1,024 sequences per engine."""
    return {"sharding": "fsdp", "padding": "packed", "max_sequences": 1_024, **settings}


_OPENTHINKER = {
    "rows": 113_957, "epochs": 3, "tokens_per_row": 5_600, "cut": 16_384, "micro_batch": 1, "batch": 96,
    "gpus": 32, "gpu": "h100", "sharding": "zero3", "offload": True,
}  # fmt: skip
_P0_MODELS = (
    "Qwen2.5-0.5B", "Qwen2.5-1.5B", "Qwen2.5-3B", "Qwen2.5-7B", "Qwen2.5-14B", "Llama-3.2-1B", "Llama-3.2-3B",
    "Llama-3.1-8B", "gemma-3-1b",
)  # fmt: skip
_P0_SIZES = (
    (8_000, 8, 4), (16_000, 16, 4), (32_000, 32, 4), (64_000, 64, 3), (128_000, 128, 3), (220_000, 128, 2),
)  # fmt: skip
_P0_SFT = [
    {
        "model": model,
        "rows": rows,
        "batch": batch,
        "epochs": epochs,
        "sharding": "zero3" if "14B" in model else "zero2",
    }
    for model in _P0_MODELS
    for rows, batch, epochs in _P0_SIZES
]
_P0_RL = [
    {"model": f"Qwen2.5-{size}", "steps": 120, "mean_response": mean}
    for size in ("0.5B", "1.5B", "3B")
    for mean in (800, 4_000, 3_500)
]
_DAPO = _verl(model="qwen2.5-7b", prompts=512, rollouts=16, gpu="h20", unit="seconds_per_step")
_P1 = {"steps": 100, "prompts": 32, "rollouts": 8, "cut": 2_000, "gpu": "a100", "mean_response": 540}

RUNS = (
    PublishedRun(
        "olmo3-7b-sft", "sft", 77, "allenai/open-instruct docs/algorithms/sft_running_guide.md",
        {"model": "olmo-3-7b", "tokens": 1.81e9, "tokens_per_row": 2_000, "cut": 32_768, "packed": True, "gpus": 8,
         "gpu": "h100", "sharding": "fsdp", "stack": "tuned", "fused": True},
    ),
    PublishedRun(
        "olmo2-1b-sft", "sft", 72, "allenai/open-instruct docs/olmo2.md",
        {"model": "olmo-2-1b", "rows": 866_138, "epochs": 2, "tokens_per_row": 600, "cut": 4_096, "micro_batch": 2,
         "batch": 128, "gpus": 8, "gpu": "h100", "sharding": "zero3"},
    ),
    PublishedRun(
        "openthinker-7b", "sft", 640, "hf.co/open-thoughts/OpenThinker-7B", {"model": "qwen2.5-7b", **_OPENTHINKER}
    ),
    PublishedRun(
        "openthinker-32b", "sft", 2_880, "hf.co/open-thoughts/OpenThinker-32B", {"model": "qwen2.5-32b", **_OPENTHINKER}
    ),
    PublishedRun(
        "s1-32b", "sft", 7, "simplescaling/s1 README",
        {"model": "qwen2.5-32b", "rows": 1_000, "epochs": 5, "tokens_per_row": 4_700, "cut": 20_000, "micro_batch": 1,
         "batch": 16, "gpus": 16, "gpu": "h100", "sharding": "fsdp"},
    ),
    PublishedRun(
        "p0-sft", "sft", 2_500, "arXiv 2506.07712",
        {"gpu": "h100", "gpus": 8, "tokens_per_row": 5_600, "cut": 16_384, "micro_batch": 1, "runs": _P0_SFT},
    ),
    PublishedRun(
        "llm-foundry-7b-8k", "sft", 40.05, "mosaicml/llm-foundry scripts/train/benchmarking/README.md",
        {"model": "mpt-7b", "tokens": 1e9, "tokens_per_row": 8_192, "cut": 8_192, "micro_batch": 8, "packed": True,
         "gpus": 8, "gpu": "h100", "sharding": "fsdp", "stack": "tuned", "unit": "gpu_hours_per_1e9_tokens"},
    ),
    PublishedRun(
        "torchtune-3b-packed", "sft", 39.26, "pytorch/torchtune README.md",
        {"model": "llama-3.2-3b", "tokens": 1e9, "tokens_per_row": 4_096, "cut": 4_096, "micro_batch": 2, "packed": True,
         "gpus": 1, "gpu": "a100", "stack": "tuned", "unit": "gpu_hours_per_1e9_tokens"},
    ),
    PublishedRun(
        "torchtune-8b-lora-4090", "sft", 90.1, "pytorch/torchtune README.md",
        {"model": "llama-3.1-8b", "tokens": 1e9, "tokens_per_row": 4_096, "cut": 4_096, "micro_batch": 2, "packed": True,
         "gpus": 1, "gpu": "rtx_4090", "lora": True, "stack": "tuned", "unit": "gpu_hours_per_1e9_tokens"},
    ),
    PublishedRun(
        "simplerl-zoo-7b", "rl", 240, "hkust-nlp/simpleRL-reason README.md",
        _verl(model="qwen2.5-7b", steps=100, prompts=1_024, rollouts=8, cut=8_192, tp=2, gpus=16, gpu="h100"),
    ),
    PublishedRun(
        "deepscaler-1.5b", "rl", 3_800, "agentica-project/deepscaler README.md, scripts/train",
        _verl(
            model="r1-distill-qwen-1.5b", gpu="a100", prompts=128,
            runs=[
                {"steps": 1_040, "rollouts": 8, "cut": 8_192, "gpus": 8},
                {"steps": 480, "rollouts": 16, "cut": 16_384, "gpus": 32},
                {"steps": 230, "rollouts": 16, "cut": 24_576, "gpus": 32},
            ],
        ),
    ),
    PublishedRun("dapo-7b-h20-32", "rl", 790.1, "volcengine/verl docs/advance/fully_async.md", {**_DAPO, "cut": 28_672, "gpus": 32}),
    PublishedRun("dapo-7b-h20-64", "rl", 365.3, "volcengine/verl docs/advance/fully_async.md", {**_DAPO, "cut": 28_672, "gpus": 64}),
    PublishedRun("dapo-7b-h20-128", "rl", 356.3, "volcengine/verl docs/advance/fully_async.md", {**_DAPO, "cut": 28_672, "gpus": 128}),
    PublishedRun(
        "p0-rl", "rl", 5_000, "arXiv 2506.07712",
        _verl(gpu="h100", gpus=8, prompts=1_024, rollouts=8, cut=8_192, reference=True, runs=_P0_RL),
    ),
    PublishedRun("p1-1.5b", "rl", 4, "arXiv 2506.10446", {**_P1, "model": "r1-distill-qwen-1.5b", "gpus": 2, "sharding": "zero2"}),
    PublishedRun("p1-7b", "rl", 16, "arXiv 2506.10446", {**_P1, "model": "r1-distill-qwen-7b", "gpus": 8, "sharding": "zero3"}),
    PublishedRun(
        "p2-open-rs", "rl", 96, "arXiv 2503.16219",
        {"model": "r1-distill-qwen-1.5b", "steps": 583, "prompts": 12, "rollouts": 6, "cut": 3_584, "gpus": 3,
         "generators": 1, "gpu": "a40", "sharding": "zero2", "padding": "round"},
    ),
    PublishedRun(
        "nemo-rl-30b-a3b", "rl", 192, "NVIDIA-NeMo/RL docs/about/performance-summary.md",
        _verl(model="qwen3-30b-a3b", prompts=128, rollouts=16, cut=4_096, mean_response=3_000, gpus=32, gpu="h100", tp=2,
              unit="seconds_per_step"),
    ),
    PublishedRun("verl-oneoff-7b-h20", "rl", 749, "volcengine/verl docs/advance/one_step_off.md", {**_DAPO, "cut": 20_480, "gpus": 32}),
    PublishedRun(
        "verl-h20-16-10k", "rl", 484.6, "volcengine/verl docs/advance/fully_async.md",
        {**_DAPO, "cut": 10_240, "gpus": 16, "old": False},
    ),
)  # fmt: skip
