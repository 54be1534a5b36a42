"""DAPO's soft punishment of over-long responses."""

from __future__ import annotations

from collections.abc import Callable

from pydantic import model_validator

from pipeline.fingerprint import Config, content
from pipeline.rewards._rollouts import Rollouts

NAME = "soft_overlong"
FORMULA = "r = 0 if L <= M - C; (M - C - L)/C if M - C < L <= M; -1 if L > M"
SOURCE = "DAPO (arXiv:2503.14476) equation 13; FACTS 5"
DOC = "Nothing up to M - C tokens, then a slope down to -1 at M."


class Params(Config):
    """The limit M and the width C of the slope, tokens."""

    max_length: int = content(16_384, describe="M: tokens beyond which the punishment is full.", ge=1)
    cache: int = content(4096, describe="C: tokens before M in which it grows.", ge=1)

    @model_validator(mode="after")
    def _fits(self) -> Params:
        if self.cache > self.max_length:
            raise ValueError(f"cache {self.cache} is larger than max_length {self.max_length}")
        return self


def make(params: Params) -> Callable[[Rollouts], list[float | None]]:
    """The reward with these parameters."""
    free = params.max_length - params.cache

    def value(tokens: int) -> float:
        if tokens <= free:
            return 0.0
        return (free - tokens) / params.cache if tokens <= params.max_length else -1.0

    return lambda rollouts: [value(tokens) for tokens in rollouts.tokens]
