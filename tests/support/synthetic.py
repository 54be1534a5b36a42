"""Synthetic finished artifacts and the request that describes them: what a report is tested on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from pipeline.request.request import CompiledClaim, DataNode, Part, Published, Request, Run, Unit
from pipeline.store.record import write_record

MEASURES = {"aime24": (30, 8), "amc23": (40, 4), "math500": (120, 2)}
PROVENANCE = {
    "commit": "0123456789abcdef0123456789abcdef01234567",
    "packages": {"torch": "2.13.0", "trl": "1.16.0"},
    "host": "node-a",
    "started": "2026-01-01T00:00:00Z",
    "finished": "2026-01-01T01:00:00Z",
}


def put_record(
    root: Path, stage: str, key: str, *, seconds: float = 10.0, inputs=None, facts=None, config=None, seed=0
):
    """Finish an artifact: its folder's files are recorded."""
    folder = root / stage / key
    folder.mkdir(parents=True, exist_ok=True)
    content = {
        "key": key,
        "stage": stage,
        "config": config or {},
        "seed": seed,
        "inputs": inputs or {},
        "facts": facts or {},
        "seconds": seconds,
        "provenance": PROVENANCE,
    }
    write_record(folder, content)


def put_scores(
    root: Path,
    unit: Unit,
    accuracy: float,
    tokens: float,
    *,
    seed: int,
    limit: int = 8000,
    text: str | None = None,
):
    """Completions, scores and a reflection analysis of one unit, drawn around an accuracy and a length."""
    rng = np.random.default_rng(seed)
    problems, samples = MEASURES[unit.measure]
    difficulty = np.random.default_rng(len(unit.measure)).normal(0, 1.2, problems)
    logit = np.log(accuracy / (1 - accuracy)) - difficulty + rng.normal(0, 0.3, problems)
    ids = [f"{unit.measure}-{i:03}" for i in range(problems) for _ in range(samples)]
    right = rng.random((problems, samples)) < 1 / (1 + np.exp(-logit[:, None]))
    length = np.minimum(rng.gamma(4, tokens / 4, (problems, samples)).astype(int) + 1, limit)
    cut = length == limit
    right = (right & ~cut).ravel()
    verdict = [
        ("right" if r else "truncated" if c else "wrong") for r, c in zip(right, cut.ravel(), strict=True)
    ]
    reason = ["length" if c else "stop" for c in cut.ravel()]
    index = list(range(samples)) * problems
    scores = pl.DataFrame(
        {
            "problem_id": ids,
            "sample_index": index,
            "correct": right,
            "verdict": verdict,
            "extracted": ["42"] * len(ids),
            "gold": ["42"] * len(ids),
            "n_tokens": length.ravel(),
            "finish_reason": reason,
        }
    )
    body = text or "We compute 6 · 7 step by step. " * 60 + r"The answer is \boxed{42}."
    completions = scores.select("problem_id", "sample_index", "n_tokens", "finish_reason").with_columns(
        seed=pl.lit(unit.seed),
        problem=pl.lit("What is 6 · 7? Put your answer in \\boxed{}."),
        answer=pl.lit("42"),
        response=pl.lit(body),
    )
    measures = scores.select("problem_id", "sample_index").with_columns(
        reflects=pl.Series(rng.random(len(ids)) < min(tokens / 6000, 0.9)),
        operations=pl.Series(rng.poisson(tokens / 50, len(ids)).astype(float)),
    )
    for stage, key, name, table in (
        ("sample", unit.completions, "completions.parquet", completions),
        ("score", unit.scores, "scores.parquet", scores),
        ("analyse", unit.analyses.get("reflection"), "measures.parquet", measures),
    ):
        if key:
            (root / stage / key).mkdir(parents=True, exist_ok=True)
            table.write_parquet(root / stage / key / name)
    put_record(
        root,
        "sample",
        unit.completions,
        seconds=600,
        inputs={"policy": [unit.policy]},
        config={"gpus": 1},
        seed=unit.seed,
    )
    put_record(root, "score", unit.scores, seconds=12, inputs={"completions": [unit.completions]})
    if "reflection" in unit.analyses:
        put_record(
            root,
            "analyse",
            unit.analyses["reflection"],
            seconds=3,
            inputs={"completions": [unit.completions]},
        )


def put_log(root: Path, run: Run, *, seed: int, steps: int = 300):
    """A training log with the names that trainers use, and the run's record."""
    rng = np.random.default_rng(seed)
    step = np.arange(1, steps + 1)
    if run.stage == "rl":
        curves = {
            "reward": 0.3 + 0.4 * (1 - np.exp(-step / 90)) + rng.normal(0, 0.04, steps),
            "completions/mean_length": 900
            - 300 * np.exp(-(((step - 80) / 60.0) ** 2))
            + rng.normal(0, 25, steps),
            "kl": 0.0002 * step + rng.normal(0, 0.002, steps) ** 2,
        }
    else:
        curves = {
            "loss": 0.6 + 0.5 * np.exp(-step / 50) + rng.normal(0, 0.02, steps),
            "learning_rate": 5e-5 * (1 - step / steps),
        }
    rows = [
        (int(s), name, float(v)) for name, values in curves.items() for s, v in zip(step, values, strict=True)
    ]
    folder = root / run.stage / run.key
    folder.mkdir(parents=True, exist_ok=True)
    pl.DataFrame(
        rows, schema={"step": pl.Int64, "metric": pl.String, "value": pl.Float64}, orient="row"
    ).write_parquet(folder / "log.parquet")
    put_record(
        root,
        run.stage,
        run.key,
        seconds=5400,
        inputs={"data": ["long-cot-8k"]},
        config={"gpus": 8},
        seed=run.replicate,
    )


def make_valley(
    root: Path,
    *,
    replicates: int = 3,
    models=("qwen2.5-0.5b", "qwen2.5-1.5b"),
    sft=("none", "8k", "32k", "128k"),
    with_rl: bool = True,
    measures=tuple(MEASURES),
    is_done=lambda unit: True,
    text: str | None = None,
    title: str | None = None,
) -> Request:
    """A study like "Through the Valley": accuracy falls at 8k rows and recovers; RL repairs a part of it."""
    units, runs = [], []
    dip = {"none": 0.0, "8k": -0.9, "32k": -0.2, "128k": 0.3}
    stretch = {"none": 600, "8k": 4200, "32k": 3600, "128k": 3000}
    levels = ("none", "grpo") if with_rl else ("none",)
    for model in models:
        for s in sft:
            for rl in levels if s in ("none", "8k") else ("none",):
                cell = {"model": model, "sft": s} | ({"rl": rl} if with_rl else {})
                for r in range(replicates):
                    base = f"{model}" if s == "none" else f"sft-{model}-{s}-r{r}"
                    policy = base if rl == "none" else f"rl-{model}-{s}-r{r}"
                    if s != "none":
                        runs.append(Run(cell=cell, replicate=r, stage="sft", key=base))
                    if rl != "none":
                        runs.append(Run(cell=cell, replicate=r, stage="rl", key=policy))
                    for step in (None,) if rl == "none" else (50, 100, None):
                        for measure in measures:
                            name = f"{policy}-{step or 'end'}-{measure}-r{r}"
                            units.append(
                                Unit(
                                    cell=cell,
                                    replicate=r,
                                    seed=100 + r,
                                    step=step,
                                    measure=measure,
                                    policy=f"{policy}-step{step}" if step else policy,
                                    completions=f"c-{name}",
                                    scores=f"s-{name}",
                                    analyses={"reflection": f"a-{name}"},
                                )
                            )
    data = (
        DataNode(name="openr1", stage="source", key="openr1"),
        DataNode(name="long_cot", stage="filter", key="long-cot", inputs=("openr1",)),
        DataNode(name="long_cot 8k", stage="subset", key="long-cot-8k", inputs=("long-cot",)),
        DataNode(name="long_cot 32k", stage="subset", key="long-cot-32k", inputs=("long-cot",)),
    )
    request = Request(
        study="long_cot_valley",
        title=title or "Through the valley",
        factors={"model": tuple(models), "sft": tuple(sft)} | ({"rl": levels} if with_rl else {}),
        question="Does a little long-CoT supervision hurt small models, and does RL repair it?",
        cites=("arXiv:2506.07712",),
        controls={"precision": "bf16"},
        measures={m: {"samples": MEASURES[m][1], "temperature": 0.6, "top_p": 0.95} for m in measures},
        units=tuple(units),
        runs=tuple(runs),
        datasets=data,
        claims=make_claims(units, models, sft, with_rl),
        published=make_published(models[0], with_rl),
    )
    for i, unit in enumerate(units):
        if is_done(unit):
            bump = 0.5 + 0.1 * (unit.step or 150) / 50 if unit.cell.get("rl") == "grpo" else 0.0
            logit = (
                {"aime24": -2.6, "amc23": -0.9, "math500": -0.2}[unit.measure]
                + 0.7 * list(models).index(unit.cell["model"])
                + dip[unit.cell["sft"]]
                + bump
            )
            tokens = stretch[unit.cell["sft"]] * (0.6 if unit.cell.get("rl") == "grpo" else 1)
            put_scores(root, unit, 1 / (1 + np.exp(-logit)), tokens, seed=i, text=text)
            put_record(root, "checkpoint" if unit.step else "base", unit.policy) if unit.policy not in {
                r.key for r in runs
            } else None
    for i, run in enumerate({run.key: run for run in runs}.values()):
        if any(is_done(u) and u.policy == run.key for u in units):
            put_log(root, run, seed=i)
    put_record(
        root, "source", "openr1", facts={"rows_in": 93733, "rows_out": 90120, "dropped": {"no_answer": 3613}}
    )
    put_record(
        root,
        "filter",
        "long-cot",
        facts={
            "rows_in": 90120,
            "rows_out": 78311,
            "dropped": {"no_correct_trace": 11002, "longer than 16,384 tokens": 790, "contaminated": 17},
        },
        inputs={"rows": ["openr1"]},
    )
    put_record(
        root,
        "subset",
        "long-cot-8k",
        facts={"rows_in": 78311, "rows_out": 8000},
        inputs={"rows": ["long-cot"]},
    )
    return request


def make_claims(units, models, sft, with_rl) -> tuple[CompiledClaim, ...]:
    """One claim of every kind: a contrast per model, a ratio, a level, and a repair by RL."""

    def pick(step=None, **levels):
        return tuple(
            i
            for i, u in enumerate(units)
            if u.step == step and all(u.cell.get(k, "none") == v for k, v in levels.items())
        )

    claims = [
        CompiledClaim(
            name="valley",
            text="8k rows of long chains of thought hurt every model",
            metric="accuracy",
            published="up to 75 % of the accuracy is lost",
            parts=tuple(
                Part(
                    label=m,
                    kind="below",
                    left=pick(model=m, sft="8k", rl="none"),
                    right=pick(model=m, sft="none", rl="none"),
                )
                for m in models
            ),
        ),
        CompiledClaim(
            name="longer",
            text="Responses become at least four times as long",
            metric="tokens",
            parts=tuple(
                Part(
                    label=m,
                    kind="above",
                    times=4.0,
                    left=pick(model=m, sft="8k", rl="none"),
                    right=pick(model=m, sft="none", rl="none"),
                )
                for m in models
            ),
        ),
        CompiledClaim(
            name="reflective",
            text="After 8k rows more than 60 % of responses reflect",
            metric="reflection.reflects",
            parts=tuple(
                Part(label=m, kind="at_least", value=0.6, left=pick(model=m, sft="8k", rl="none"))
                for m in models
            ),
        ),
        CompiledClaim(
            name="recovers",
            text="128k rows recover what was lost",
            metric="accuracy",
            parts=(
                Part(
                    label="all models",
                    kind="above",
                    left=pick(sft=sft[-1], rl="none"),
                    right=pick(sft="none", rl="none"),
                ),
            ),
        ),
    ]
    if with_rl:
        claims.append(
            CompiledClaim(
                name="repair",
                text="RL repairs the damage",
                metric="accuracy",
                parts=tuple(
                    Part(
                        label=m,
                        kind="above",
                        by=0.05,
                        left=pick(model=m, sft="8k", rl="grpo"),
                        right=pick(model=m, sft="8k", rl="none"),
                    )
                    for m in models
                ),
            )
        )
    return tuple(claims)


def make_published(model, with_rl) -> tuple[Published, ...]:
    rest = {"rl": "none"} if with_rl else {}
    return (
        Published(
            label="Qwen2.5-0.5B, base",
            cell={"model": model, "sft": "none"} | rest,
            metric="accuracy",
            value=0.14,
            source="Fig. 2",
        ),
        Published(
            label="Qwen2.5-0.5B, 8k",
            cell={"model": model, "sft": "8k"} | rest,
            metric="accuracy",
            value=0.19,
            source="Fig. 2",
        ),
        Published(
            label="MATH500 after 8k",
            cell={"model": model, "sft": "8k"} | rest,
            metric="tokens",
            measure="math500",
            value=4300,
            source="Fig. 3",
        ),
        Published(
            label="A model that we lack",
            cell={"model": "gemma3-1b"},
            metric="accuracy",
            value=0.24,
            source="§1",
        ),
    )
