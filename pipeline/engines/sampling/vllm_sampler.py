"""Sampling with vLLM: the engine's own loop, so that responses are saved while others still run.

Guaranteed: each response has its own request and its own seed (vLLM then draws it from a generator of its own),
the protocol's temperature and nucleus mass and nothing else: the model folder's generation defaults never apply.
A prompt shared by several samples is read once (prefix caching).
vLLM lives in an environment of its own (envs/vllm.txt). On CPU its community build runs in this process.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pipeline.engines.policy.folder import check_policy_folder, load_tokenizer
from pipeline.engines.sampling.protocol import Request, Response, read_context, read_eos_token_ids
from pipeline.errors import InputError, StageError
from pipeline.stages.sample import SamplingConfig

CPU_CACHE_GIB = 1


class VllmSampler:
    """The `vllm` engine: one model over `config.gpus` GPUs (tensor parallel), any number of calls of `sample`."""

    def __init__(self, policy: Path, config: SamplingConfig, work: Path) -> None:
        check_policy_folder(policy)
        self.tokenizer = load_tokenizer(policy)
        self.context = read_context(policy)
        self.eos = read_eos_token_ids(policy, self.tokenizer)
        self._policy, self._config = policy, config
        self._engine: Any = None
        self._length = self._reserved = 0
        _prepare_environment(config.gpus, work)

    def reserve(self, positions: int) -> None:
        """Size the engine for sequences of so many positions when it starts, so that it starts once."""
        self._reserved = min(positions, self.context)

    def versions(self) -> dict[str, str]:
        import torch
        import vllm

        return {"torch": torch.__version__, "vllm": vllm.__version__}

    def sample(self, requests: Sequence[Request], config: SamplingConfig) -> Iterator[Response]:
        """Sample every request; responses come as they finish."""
        from vllm import SamplingParams
        from vllm.sampling_params import RequestOutputKind

        engine = self._engine_for(max(len(r.prompt_ids) + r.max_tokens for r in requests))
        for request in requests:
            params = SamplingParams(
                temperature=config.temperature,
                top_p=config.top_p,
                max_tokens=request.max_tokens,
                seed=request.seed,
                stop_token_ids=self.eos,
                detokenize=False,
                output_kind=RequestOutputKind.FINAL_ONLY,
            )
            engine.add_request(str(request.position), {"prompt_token_ids": list(request.prompt_ids)}, params)
        while engine.has_unfinished_requests():
            for output in engine.step():
                if output.finished:
                    yield self._read(output)

    def _read(self, output: Any) -> Response:
        completion = output.outputs[0]
        tokens = list(completion.token_ids)
        if completion.finish_reason not in ("stop", "length"):
            raise StageError(
                f"vLLM ended response {output.request_id} with {completion.finish_reason!r}",
                "Run the same command again: it resumes after the saved responses.",
            )
        if tokens and tokens[-1] in self.eos:
            return Response(int(output.request_id), tuple(tokens[:-1]), "stop", tokens[-1])
        return Response(int(output.request_id), tuple(tokens), "length")

    def _engine_for(self, length: int) -> Any:
        """The engine, started again only when a family member needs more positions than the last one."""
        length = max(length, self._reserved)
        if self._engine is None or length > self._length:
            self._engine = None
            self._length = min(self.context, 1 << (length - 1).bit_length())
            self._engine = _start(self._policy, self._config, self._length)
        return self._engine


def _start(policy: Path, config: SamplingConfig, length: int) -> Any:
    from vllm import EngineArgs, LLMEngine
    from vllm.usage.usage_lib import UsageContext

    options: dict[str, Any] = (
        {"gpu_memory_utilization": config.vllm_memory} if config.gpus else {"enforce_eager": True}
    )
    arguments = EngineArgs(
        model=str(policy),
        dtype={"bf16": "bfloat16", "fp32": "float32"}[config.precision],
        max_model_len=length,
        tensor_parallel_size=max(config.gpus, 1),
        generation_config="vllm",
        enable_prefix_caching=True,
        trust_remote_code=False,
        load_format="safetensors",
        seed=0,
        disable_log_stats=True,
        **options,
    )
    try:
        return LLMEngine.from_engine_args(arguments, usage_context=UsageContext.LLM_CLASS)
    except (RuntimeError, ValueError) as problem:
        raise StageError(
            f"vLLM did not start on {policy}: {str(problem).strip().splitlines()[-1]}",
            "Out of memory: lower vllm_memory or take more GPUs; unknown architecture: use engine: transformers.",
        ) from problem


def _prepare_environment(gpus: int, work: Path) -> None:
    """Say in the environment what vLLM has no argument for; refuse where it is not installed."""
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "WARNING")
    os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
    if gpus == 0:
        os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", str(CPU_CACHE_GIB))
        os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"
    try:
        import vllm  # noqa: F401
    except ImportError as problem:
        raise InputError(
            f"this interpreter has no vLLM ({problem})",
            "Run the stage with the interpreter of envs/vllm.txt, or use engine: transformers.",
        ) from problem
