"""Keep rows whose text contains a text, such as \\boxed (Open-RS, FACTS 3.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.filters import FilterContext, judge_by, need_text
from pipeline.fingerprint import Config, content

if TYPE_CHECKING:
    import polars as pl

DOC = "Keep rows whose text contains `text` (or lacks it, with absent: true); letters' case counts."
MAIN = "text"


class Params(Config):
    """The text that is looked for."""

    text: str = content(describe="Text that is looked for, literally.", min_length=1)
    column: str = content("solution", describe="Column that is searched.")
    absent: bool = content(False, describe="Keep the rows that lack the text instead.")


def judge(rows: pl.LazyFrame, params: Params, context: FilterContext) -> pl.DataFrame:
    """Drop rows without the text (with it, when absent); a row without a text lacks it."""
    import polars as pl

    need_text(rows, params.column, "contains")
    found = pl.col(params.column).cast(pl.String).str.contains(params.text, literal=True).fill_null(False)
    keep, word = (~found, "contains") if params.absent else (found, "lacks")
    return judge_by(rows, pl.when(~keep).then(pl.lit(f"{params.column} {word} {params.text!r}")))
