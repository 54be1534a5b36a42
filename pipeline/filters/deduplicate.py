"""Keep the first of rows with the same problem.

Problems are compared after Unicode NFKC, with white space collapsed and case ignored; punctuation and
mathematical signs count, so `x+1` and `x-1` differ.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.filters import FilterContext, need_text
from pipeline.fingerprint import Config, content

if TYPE_CHECKING:
    import polars as pl

DOC = "Keep the first of rows with the same problem (NFKC, white space and case ignored)."
MAIN = "column"


class Params(Config):
    """The column that must be unique."""

    column: str = content("problem", describe="Column that is compared.")


def judge(rows: pl.LazyFrame, params: Params, context: FilterContext) -> pl.DataFrame:
    """Drop every later row with a text that was there before; rows without a text stay."""
    import polars as pl

    need_text(rows, params.column, "deduplicate")
    texts = rows.select("id", _normalised(params.column).alias("text")).collect(engine="streaming")
    again = ~pl.col("text").is_first_distinct() & pl.col("text").is_not_null()
    reason = pl.when(again).then(pl.lit(f"same {params.column} as an earlier row"))
    return texts.select("id", reason.cast(pl.String).alias("reason"))


def _normalised(column: str) -> pl.Expr:
    import polars as pl

    text = pl.col(column).cast(pl.String).str.normalize("NFKC").str.to_lowercase()
    return text.str.replace_all(r"\s+", " ").str.strip_chars()
