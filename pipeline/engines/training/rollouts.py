"""Rewards while training: called, checked, and kept with their rollouts for a person to read."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

import polars as pl

from pipeline import rewards
from pipeline.errors import StageError
from pipeline.stages.rl import RlConfig
from pipeline.store.atomic import replaced_file


class RolloutRecorder:
    """Calls the catalogue's rewards, refuses what is no number, and keeps the last rounds' rollouts."""

    def __init__(self, work: Path, config: RlConfig, *, eos_token_ids: list[int], first_kept: int) -> None:
        self.work, self.first_kept = work, first_kept
        names = [term.name for term in config.reward]
        self.names = [f"{n}_{i}" if names.count(n) > 1 else n for i, n in enumerate(names)]
        self.rewards = [
            self._watch(
                name,
                rewards.build(
                    term.name, term.params, eos_token_ids=eos_token_ids, group_size=config.rollouts
                ),
            )
            for name, term in zip(self.names, config.reward, strict=True)
        ]
        self._columns: dict[str, list[Any]] = {}

    def _watch(self, name: str, reward: Any) -> Any:
        def judge(prompts: list[Any], completions: list[Any], **columns: Any) -> list[float | None]:
            values = reward(prompts=prompts, completions=completions, **columns)
            for value, row in zip(values, columns["id"], strict=True):
                if value is not None and not math.isfinite(value):
                    raise StageError(
                        f"reward {name!r} gave {value} for a response to {row!r}",
                        "A reward must give finite numbers, or None where it cannot judge; mend the reward.",
                    )
            self._keep(name, values, completions, columns)
            return values

        judge.__name__ = name
        return judge

    def _keep(self, name: str, values: list[Any], completions: list[Any], columns: dict[str, Any]) -> None:
        step = columns["trainer_state"].global_step
        if step < self.first_kept or os.environ.get("RANK", "0") != "0":
            return
        if name == self.names[0]:
            self._columns = {
                "step": [step] * len(values),
                "problem_id": list(columns["id"]),
                "problem": list(columns["problem"]),
                "answer": [str(answer) for answer in columns["answer"]],
                "response": [rewards.text_of(completion) for completion in completions],
                "n_tokens": [len(ids) for ids in columns["completion_ids"]],
            }
        self._columns[f"reward_{name}"] = [None if value is None else float(value) for value in values]
        if name == self.names[-1]:
            with replaced_file(self.work / f"rollouts-{step:08d}.parquet") as scratch:
                pl.DataFrame(self._columns).write_parquet(scratch)

    def publish(self, target: Path) -> None:
        """Leave the kept rounds as one file: step, problem, response, n_tokens and each reward."""
        paths = sorted(self.work.glob("rollouts-*.parquet"))
        with replaced_file(target) as scratch:
            pl.concat([pl.read_parquet(path) for path in paths], how="diagonal_relaxed").write_parquet(
                scratch
            )
