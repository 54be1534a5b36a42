"""What the stages that make data leave is what SFT takes: dialogues and solved problems, whole weights and LoRA."""

from __future__ import annotations

import importlib
from pathlib import Path

import polars as pl
import pytest
from safetensors.torch import load_file

from pipeline.engines.policy.folder import load_policy
from pipeline.stages._training import Lora
from pipeline.stages.dialogue import DialogueConfig
from pipeline.stages.mix import MixConfig
from pipeline.stages.sft import SftConfig
from pipeline.stages.solve import SolveConfig
from pipeline.stages.synthesise import Marker, SynthesiseConfig
from pipeline.store.job import Job

PROTOCOL = {"temperature": 1.0, "top_p": 1.0, "max_new_tokens": 4, "precision": "fp32"}
N = 10


def run(folder: Path, stage: str, config, **inputs: Path | tuple[Path, ...]) -> Path:
    folder = folder / stage / str(len(list(folder.glob(f"{stage}/*"))))
    folder.mkdir(parents=True)
    given = {role: path if isinstance(path, tuple) else (path,) for role, path in inputs.items()}
    importlib.import_module(f"pipeline.engines.{stage}").run(
        Job(f"{stage}-1", stage, config, 5, given, folder)
    )
    return folder


@pytest.fixture(scope="module")
def rows(guesser, tmp_path_factory) -> Path:
    """Dual-phase's two sets with their markers, mixed."""
    folder = tmp_path_factory.mktemp("rows")
    source = folder / "problems"
    source.mkdir()
    problems = {"id": [f"p{i}" for i in range(N)], "problem": [f"What is {i}?" for i in range(N)]}
    pl.DataFrame(problems | {"answer": [str(i) for i in range(N)]}).write_parquet(source / "rows.parquet")
    talks = run(
        folder, "dialogue", DialogueConfig(samples=24, assess="?", revise="!", summarise=".", **PROTOCOL),
        policy=guesser, rows=source,
    )  # fmt: skip
    solved = run(folder, "solve", SolveConfig(rounds=(2, 8), **PROTOCOL), policy=guesser, rows=source)
    turns = SynthesiseConfig(marker=Marker(text="[turns] "), balance=False)
    tries = SynthesiseConfig(marker=Marker(text="[tries] "), per_problem=1)
    parts = (
        run(folder, "synthesise", turns, dialogues=talks),
        run(folder, "synthesise", tries, completions=solved),
    )
    return run(folder, "mix", MixConfig(quotas=(None, None)), rows=parts)


def test_both_sets_come_through_a_mix_with_their_origin(rows):
    frame = pl.read_parquet(rows / "rows.parquet")
    assert frame["id"].is_unique().all() and set(frame["origin"]) == {"dialogue", "rejection"}
    for row in frame.iter_rows(named=True):
        marker = "[turns] " if row["origin"] == "dialogue" else "[tries] "
        assert row["problem"].startswith(marker)
        assert row["solution"].split()[-1].endswith(row["answer"]) or row["class"] in ("RR", "WR")
    assert set(frame.filter(pl.col("origin") == "dialogue")["class"]) <= {"RR", "WR"}


@pytest.mark.parametrize("lora", [None, Lora(rank=2)])
def test_sft_trains_on_them(rows, guesser, tmp_path, lora):
    config = SftConfig(
        learning_rate=1e-3, epochs=1, batch_size=4, max_length=200, precision="fp32", lora=lora
    )
    trained = run(tmp_path, "sft", config, policy=guesser, data=rows)
    assert pl.read_parquet(trained / "log.parquet").filter(pl.col("metric") == "loss").height > 1
    before, after = (load_file(folder / "model/model.safetensors") for folder in (guesser, trained))
    assert before.keys() == after.keys()
    name = "model.layers.0.self_attn.q_proj.weight"
    assert not before[name].equal(after[name])
    load_policy(trained / "model")
