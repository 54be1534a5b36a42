"""Rows of self-correction dialogues: grade first and final answers, keep classes in balance, flatten.

Grading resumes after its last part; everything else takes seconds.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import polars as pl

from pipeline.engines.grading.responses import grade_in_parts, open_grader
from pipeline.engines.rows.frames import count_responses, scan_columns
from pipeline.engines.synthesis.chosen import KEY, choice_keys, refuse_repeated, write_chosen
from pipeline.engines.synthesis.turns import SCHEMA, TURNS
from pipeline.errors import InputError
from pipeline.grading import find_box
from pipeline.stages.synthesise import SynthesiseConfig
from pipeline.store.job import Job

_OF_CLASS = {(True, True): "RR", (True, False): "RW", (False, True): "WR", (False, False): "WW"}


def use_dialogues(job: Job, config: SynthesiseConfig) -> dict[str, Any]:
    """Write the rows of input `dialogues`; the facts add the classes before and after the choice."""
    source = job.one("dialogues") / "dialogues.parquet"
    lazy = scan_columns(source, tuple(SCHEMA))
    count_responses(lazy, source)
    dialogues = lazy.collect()
    refuse_repeated(dialogues, source)
    dialogues = dialogues.with_columns(pl.Series("reason", _find_faults(dialogues), dtype=pl.String))
    sound = dialogues.filter(pl.col("reason").is_null())
    classes = _grade(job, config, sound, source)
    judged = dialogues.join(classes, on=KEY, how="left", maintain_order="left")
    judged = _drop_classes(judged, config)
    judged = _drop_surplus(judged, config)
    kept = judged.filter(pl.col("reason").is_null())
    flat = [config.flatten(row) for row in kept.select(TURNS).iter_rows(named=True)]
    rows = kept.with_columns(
        pl.Series("solution", flat, dtype=pl.String),
        n_tokens=pl.sum_horizontal(f"n_tokens_{turn}" for turn in TURNS),
    )
    facts = write_chosen(job, config, rows.lazy(), judged.select(*KEY, "reason"), "dialogue")
    return facts | {
        "classes_before": dict(sorted(Counter(classes["class"]).items())),
        "classes_after": dict(sorted(Counter(kept["class"]).items())),
    }


def _find_faults(dialogues: pl.DataFrame) -> list[str | None]:
    """What is wrong with a dialogue before any grading: cut in a turn, or a turn that says nothing."""
    faults: list[str | None] = []
    for row in dialogues.select(*TURNS, "cut_in").iter_rows(named=True):
        empty = next((turn for turn in TURNS if not (row[turn] or "").strip()), None)
        if row["cut_in"] is not None:
            faults.append(f"cut in {row['cut_in']}")
        else:
            faults.append(f"empty {empty}" if empty else None)
    return faults


def final_answer(revised: str, summary: str) -> str:
    """The text whose answer counts at the end: the summary where it has a box, else the revision."""
    return summary if find_box(summary) is not None else revised


def _grade(job: Job, config: SynthesiseConfig, sound: pl.DataFrame, source: Path) -> pl.DataFrame:
    """KEY and class of every dialogue without a fault."""
    if sound.is_empty():
        return sound.select(*KEY, pl.lit(None, dtype=pl.String).alias("class"))
    finals = [final_answer(*pair) for pair in sound.select("revised", "summary").iter_rows()]
    answers = {"first": sound["first"], "final": pl.Series("response", finals, dtype=pl.String)}
    correct = {}
    with open_grader(config.score) as grader:
        for name, responses in answers.items():
            rows = sound.select(
                *KEY,
                "answer",
                responses.alias("response"),
                pl.lit(0, dtype=pl.Int64).alias("n_tokens"),
                pl.lit("stop").alias("finish_reason"),
            )
            graded = grade_in_parts(
                rows.lazy(), rows.height, grader, config.score, job=job, source=source, name=f"{name}-part"
            )
            correct[name] = graded["correct"]
    classes = [_OF_CLASS[pair] for pair in zip(correct["first"], correct["final"], strict=True)]
    return sound.select(*KEY).with_columns(pl.Series("class", classes, dtype=pl.String))


def _drop_classes(judged: pl.DataFrame, config: SynthesiseConfig) -> pl.DataFrame:
    """Give a reason to classes not kept, to verdicts that change without the text, and to repetitions."""
    is_kept = pl.col("class").is_in(list(config.keep_classes))
    same_text = pl.col("first").str.strip_chars() == pl.col("revised").str.strip_chars()
    changed = pl.col("class").is_in(["WR", "RW"])
    judged = judged.with_columns(
        reason=pl.when(pl.col("reason").is_not_null())
        .then("reason")
        .when(~is_kept)
        .then(pl.lit("class ") + pl.col("class"))
        .when(changed & same_text)
        .then(pl.lit("the revision repeats the first answer"))
    )
    usable = judged.filter(pl.col("reason").is_null())
    once = usable.unique(("problem_id", *TURNS), keep="first", maintain_order=True)
    again = usable.join(once.select(KEY), on=KEY, how="anti").select(
        *KEY, again=pl.lit("the same dialogue again")
    )
    return (
        judged.join(again, on=KEY, how="left", maintain_order="left")
        .with_columns(reason=pl.coalesce("reason", "again"))
        .drop("again")
    )


def _drop_surplus(judged: pl.DataFrame, config: SynthesiseConfig) -> pl.DataFrame:
    """Keep `balance` dialogues that start right per dialogue that starts wrong, by a seeded choice."""
    if config.balance is False:
        return judged
    usable = judged.filter(pl.col("reason").is_null())
    starts_right = pl.col("class").str.starts_with("R")
    groups = {True: usable.filter(starts_right), False: usable.filter(~starts_right)}
    if not usable.is_empty() and any(group.is_empty() for group in groups.values()):
        side = "wrong" if groups[False].is_empty() else "right"
        raise InputError(
            f"none of the {usable.height} usable dialogues starts with a {side} answer, so nothing balances",
            "Hold more dialogues, take harder or easier problems, or set balance: false.",
        )
    quotas = balance(groups[True].height, groups[False].height, float(config.balance))
    surplus = []
    for (is_right, group), quota in zip(groups.items(), quotas, strict=True):
        order = group.select(*KEY).with_columns(choice_keys(group, config.seed)).sort("key", *KEY)
        what = f"more that start {'right' if is_right else 'wrong'} than the balance takes"
        surplus.append(order.slice(quota).select(*KEY, surplus=pl.lit(what)))
    return (
        judged.join(pl.concat(surplus), on=KEY, how="left", maintain_order="left")
        .with_columns(reason=pl.coalesce("reason", "surplus"))
        .drop("surplus")
    )


def balance(right: int, wrong: int, ratio: float) -> tuple[int, int]:
    """How many of two groups stay so that right : wrong is the ratio, as many as there can be (at least 1)."""
    if right > ratio * wrong:
        return min(right, max(1, int(ratio * wrong + 1e-9))), wrong
    return right, min(wrong, max(1, int(right / ratio + 1e-9)))
