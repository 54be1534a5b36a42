"""Sampling with plain transformers: one device, one model, the decode loop (continuous batching).

Refused: several GPUs, and models with sliding-window or recurrent layers; vLLM is for those.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import torch

from pipeline.engines.policy.folder import load_policy
from pipeline.engines.sampling.attention import check_architecture, grouped_attention
from pipeline.engines.sampling.decode_loop import generate
from pipeline.engines.sampling.protocol import Request, Response, read_context, read_eos_token_ids
from pipeline.errors import InputError
from pipeline.stages.sample import SamplingConfig


class TransformersSampler:
    """The `transformers` engine: a model in memory, any number of calls of `sample`."""

    def __init__(self, policy: Path, config: SamplingConfig) -> None:
        if config.gpus > 1:
            raise InputError("the transformers engine samples on one GPU", "Set gpus: 1, or engine: vllm.")
        if config.gpus and not torch.cuda.is_available():
            raise InputError(
                "a GPU is asked for and this machine shows none", "Set gpus: 0, or run on a GPU node."
            )
        self.model, self.tokenizer = load_policy(policy, config.precision, "cuda" if config.gpus else "cpu")
        self.context = read_context(policy)
        self.eos = read_eos_token_ids(policy, self.tokenizer)
        check_architecture(self.model)

    def reserve(self, positions: int) -> None:
        """Nothing to do: the KV cache grows as it is needed."""

    def versions(self) -> dict[str, str]:
        """The packages that decided the responses."""
        import transformers

        return {"torch": torch.__version__, "transformers": transformers.__version__}

    @torch.inference_mode()
    def sample(self, requests: Sequence[Request], config: SamplingConfig) -> Iterator[Response]:
        """Sample every request under the protocol; responses come as they finish."""
        with grouped_attention(self.model):
            yield from generate(
                self.model,
                requests,
                eos=self.eos,
                batch_size=config.batch_size,
                temperature=config.temperature,
                top_p=config.top_p,
            )
