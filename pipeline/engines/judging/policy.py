"""A policy as a judge: a model folder through the sampling engines, asked like an endpoint.

The replies follow the judge's own settings; the policy's chat template wraps the question. Refused: a question
that leaves no room for a reply in the model's context, naming the row.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from pipeline.engines.judging.replies import Question, Reply
from pipeline.engines.policy.folder import encode_prompt
from pipeline.engines.sampling.load import load_sampler
from pipeline.engines.sampling.protocol import Request
from pipeline.errors import InputError
from pipeline.prompt import Prompt
from pipeline.stages.judge import JudgeConfig
from pipeline.stages.sample import SampleConfig


class PolicyJudge:
    """The engines `transformers` and `vllm`."""

    def __init__(self, policy: Path, config: JudgeConfig, work: Path) -> None:
        self._config = SampleConfig(
            samples=1,
            temperature=config.temperature,
            top_p=1.0,
            max_new_tokens=config.max_new_tokens,
            engine="vllm" if config.engine == "vllm" else "transformers",
            precision=config.precision,
            gpus=config.gpus,
            batch_size=config.batch_size,
            vllm_memory=config.vllm_memory,
        )
        self._sampler = load_sampler(policy / "model", self._config, work)

    def versions(self) -> dict[str, str]:
        """The packages that decided the replies."""
        return self._sampler.versions()

    def ask(self, questions: Sequence[Question]) -> Iterator[Reply]:
        """Put every question; replies come as they finish."""
        requests = [self._request(position, question) for position, question in enumerate(questions)]
        for response in self._sampler.sample(requests, self._config):
            yield Reply(
                *questions[response.position].row,
                asking=questions[response.position].asking,
                text=self._sampler.tokenizer.decode(response.token_ids, skip_special_tokens=True),
                finish_reason=response.finish_reason,
                tokens_in=len(requests[response.position].prompt_ids),
                tokens_out=len(response.token_ids),
            )

    def _request(self, position: int, question: Question) -> Request:
        ids = encode_prompt(self._sampler.tokenizer, Prompt(), question.messages)
        room = self._sampler.context - len(ids)
        name = "problem {!r} (sample {})".format(*question.row)
        if room < 1:
            raise InputError(
                f"{name}: the judge's question has {len(ids)} tokens and its context {self._sampler.context}",
                "Use a judge with a longer context.",
            )
        return Request(
            position,
            ids,
            question.seed,
            min(self._config.max_new_tokens, room),
            f"the judge on {name}",
        )
