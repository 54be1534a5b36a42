"""The turns of a self-correction dialogue and the columns of dialogues.parquet: `dialogue` writes what `synthesise` reads."""

from __future__ import annotations

import polars as pl

TURNS = ("first", "assessment", "revised", "summary")
SCHEMA = {
    "problem_id": pl.String,
    "sample_index": pl.Int64,
    "seed": pl.Int64,
    "problem": pl.String,
    "answer": pl.String,
    **dict.fromkeys(TURNS, pl.String),
    **{f"n_tokens_{turn}": pl.Int64 for turn in TURNS},
    **{f"finish_reason_{turn}": pl.String for turn in TURNS},
    "cut_in": pl.String,
}
"""Columns of dialogues.parquet; what comes after the turn in which a dialogue was cut is null."""
