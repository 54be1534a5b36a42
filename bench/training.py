"""SFT and RL through a stage's engine beside the same TRL call written by hand, in one process, in turn A B B A.

A machine whose speed drifts by some percent between two runs needs many short pairs and their median.
"""

from __future__ import annotations

import contextlib
import io
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.update(OMP_NUM_THREADS="1", HF_HUB_OFFLINE="1", TOKENIZERS_PARALLELISM="false")

from bench import bare_trl
from bench.bare_trl import Timing
from bench.pairs import Row, show
from pipeline.prompt import Prompt
from pipeline.stages.rl import RewardTerm, RlConfig
from pipeline.stages.sft import SftConfig
from pipeline.store.job import Job

NOTE = "one process, packages imported, A B B A; speeds are tokens a second inside trainer.train(), or per processor second of the whole call"
PAIRS = {"sft": 12, "rl": 6}
SFT: dict[str, Any] = {"epochs": 1, "batch_size": 16, "max_length": 256}
GRPO: dict[str, Any] = {"steps": 12, "prompts": 8, "rollouts": 8, "new_tokens": 64}


def main() -> None:
    """Print and keep the table."""
    from pipeline.engines.sft import train as train_sft  # the imports are not what is measured
    from pipeline.engines.training.rl import train as train_rl

    config = SftConfig(learning_rate=1e-4, precision="fp32", prompt=Prompt(), **SFT)
    rl_config = RlConfig(
        algorithm="grpo", reward=(RewardTerm(name="accuracy"),), steps=GRPO["steps"], learning_rate=1e-4,
        prompts_per_step=GRPO["prompts"], rollouts=GRPO["rollouts"], max_new_tokens=GRPO["new_tokens"], precision="fp32",
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        policy, rows = _make_inputs(folder)
        by_stage = lambda at: _timed(train_sft, _job(at, "sft", config), policy, rows, _sft_tokens)
        by_hand = lambda at: bare_trl.sft(policy, rows, at, **SFT)
        table = _rows("sft", _pairs(by_stage, by_hand, folder / "sft", PAIRS["sft"]))
        by_stage = lambda at: _timed(
            train_rl, _job(at, "rl", rl_config), policy, rows, lambda facts: facts["generated_tokens"]
        )
        by_hand = lambda at: bare_trl.grpo(policy, rows, at, **GRPO)
        table += _rows("rl", _pairs(by_stage, by_hand, folder / "rl", PAIRS["rl"]))
    show("training", NOTE, table)


def _make_inputs(folder: Path) -> tuple[Path, Path]:
    """A random tiny policy and 512 long chains."""
    import polars as pl

    from pipeline.engines.policy.folder import save_policy
    from pipeline.engines.policy.tiny import build_model, build_tokenizer
    from pipeline.generators import chains
    from pipeline.stages.base import TinyModel

    tokenizer = build_tokenizer()
    save_policy(build_model(TinyModel(), len(tokenizer), tokenizer, seed=1), tokenizer, folder / "policy")
    rows = folder / "rows.parquet"
    pl.DataFrame(chains.generate(chains.Params(style="long"), 512, 1)).write_parquet(rows)
    return folder / "policy", rows


def _job(folder: Path, stage: str, config: Any) -> Job:
    return Job(key=folder.name, stage=stage, config=config, seed=3, inputs={}, folder=folder)


def _sft_tokens(facts: dict[str, Any]) -> float:
    return facts["tokens_per_epoch"] * SFT["epochs"]


def _timed(
    train: Callable[..., dict], job: Job, policy: Path, rows: Path, tokens: Callable[[dict], float]
) -> Timing:
    started, used = time.monotonic(), time.process_time()
    facts = train(job, job.config, policy=policy, rows=rows)
    return Timing(
        facts["training_seconds"], time.monotonic() - started, time.process_time() - used, tokens(facts)
    )


def _pairs(
    ours: Callable[[Path], Timing], peer: Callable[[Path], Timing], folder: Path, pairs: int
) -> list[tuple[Timing, Timing]]:
    """In turn, each first as often as second, after one run of each that does not count."""
    found = []
    for i in range(pairs + 1):
        timings = {}
        for run, side in ((ours, "ours"), (peer, "peer"))[:: 1 if i % 2 else -1]:
            place = folder / f"{side}{i}"
            place.mkdir(parents=True)
            with contextlib.redirect_stdout(io.StringIO()):  # what trainers print of each step
                timings[side] = run(place)
        found.append((timings["ours"], timings["peer"]))
    return found[1:]


def _rows(stage: str, pairs: list[tuple[Timing, Timing]]) -> list[Row]:
    speed = [tuple(t.tokens_per_s for t in pair) for pair in pairs]
    effort = [tuple(t.tokens / t.cpu_s for t in pair) for pair in pairs]
    rest = [tuple(t.whole_s - t.training_s for t in pair) for pair in pairs]
    ratios = lambda values: tuple(ours / peer for ours, peer in values)
    median = lambda values, side: statistics.median(pair[side] for pair in values)
    return [
        Row(f"{stage}, in training", median(speed, 0), median(speed, 1), "tok/s", ratios(speed), "≥ 0.97"),
        Row(
            f"{stage}, per processor second",
            median(effort, 0),
            median(effort, 1),
            "tok/s",
            ratios(effort),
            "≥ 0.97",
        ),
        Row(f"{stage}, outside training", median(rest, 0), median(rest, 1), "s", ratios(rest), "ours < 1 s"),
    ]


if __name__ == "__main__":
    main()
