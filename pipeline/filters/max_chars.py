"""Keep rows whose text is at most so many characters long."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.filters import FilterContext, judge_by, need_text
from pipeline.fingerprint import Config, content

if TYPE_CHECKING:
    import polars as pl

DOC = "Keep rows whose text has at most `chars` characters (Unicode code points)."
MAIN = "chars"


class Params(Config):
    """The limit and the column."""

    chars: int = content(describe="Most characters.", ge=1)
    column: str = content("solution", describe="Column that is measured.")


def judge(rows: pl.LazyFrame, params: Params, context: FilterContext) -> pl.DataFrame:
    """Drop longer texts and rows without one."""
    import polars as pl

    need_text(rows, params.column, "max_chars")
    text = pl.col(params.column).cast(pl.String)
    over = pl.lit(f"over {params.chars} characters")
    reason = pl.when(text.is_null()).then(pl.lit(f"no {params.column}"))
    return judge_by(rows, reason.when(text.str.len_chars() > params.chars).then(over))
