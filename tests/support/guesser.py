"""A tiny policy that guesses: whatever it is asked, it answers with one digit."""

from __future__ import annotations

import random
from pathlib import Path

import polars as pl

SHAPE = {"hidden_size": 32, "layers": 2, "heads": 4, "intermediate_size": 64, "max_positions": 512}


def make_guesser(tmp_path_factory, **shape: int) -> Path:
    """Train a guesser whose shape differs from the usual one."""
    from pipeline.stages import base
    from pipeline.store.job import Job

    draw = random.Random(0)
    problems = [f"What is {draw.randrange(50)}+{draw.randrange(50)}?" for _ in range(256)]
    digits = [str(draw.randrange(10)) for _ in problems]
    data = tmp_path_factory.mktemp("digits")
    pl.DataFrame({"problem": problems, "solution": digits}).write_parquet(data / "rows.parquet")
    phase = base.Phase(data=(0,), epochs=4, batch_size=32, learning_rate=1e-2, schedule="constant")
    config = base.Config(tiny=base.TinyModel(**SHAPE | shape, phases=(phase,)))
    folder = tmp_path_factory.mktemp("guesser")
    base.run(Job("guesser", "base", config, 0, {"data": (data,)}, folder))
    return folder
