"""Rewards called the way TRL calls them."""

from __future__ import annotations

import pytest

from pipeline import rewards

EOS = 2


def completion(text: str) -> list[dict[str, str]]:
    return [{"role": "assistant", "content": text}]


def ids_of(tokens: int, finished: bool = True) -> list[int]:
    """`tokens` tokens before the end, then the end unless the rollout was cut."""
    return [5] * tokens + ([EOS] if finished else [])


@pytest.fixture(scope="session")
def call():
    def call_reward(
        name, texts, *, gold="7", tokens=None, finished=None, prompts=None, params=None, **columns
    ):
        reward = rewards.build(name, params or {}, eos_token_ids=(EOS,))
        n = len(texts)
        tokens = tokens or [len(text) for text in texts]
        finished = finished or [True] * n
        return reward(
            prompts=prompts or ["p"] * n,
            completions=[completion(text) for text in texts],
            completion_ids=[ids_of(t, f) for t, f in zip(tokens, finished, strict=True)],
            answer=[gold] * n if gold is None or isinstance(gold, str) else gold,
            trainer_state=None,
            log_extra=None,
            log_metric=None,
            **columns,
        )

    return call_reward
