"""Keep rows whose text has a length between two bounds, in characters or words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import model_validator

from pipeline.filters import FilterContext, judge_by, need_text
from pipeline.fingerprint import Config, content

if TYPE_CHECKING:
    import polars as pl

DOC = "Keep rows whose text has at least `at_least` and at most `at_most` characters or words."


class Params(Config):
    """The bounds, both inclusive; at least one is needed."""

    column: str = content("solution", describe="Column that is measured.")
    at_least: int | None = content(None, describe="Shortest length kept.", ge=0)
    at_most: int | None = content(None, describe="Longest length kept.", ge=0)
    unit: Literal["chars", "words"] = content(
        "chars", describe="What is counted; words are split at white space."
    )

    @model_validator(mode="after")
    def _has_a_range(self) -> Params:
        if self.at_least is None and self.at_most is None:
            raise ValueError("give at_least, at_most or both")
        if self.at_least is not None and self.at_most is not None and self.at_least > self.at_most:
            raise ValueError(
                f"at_least {self.at_least} is above at_most {self.at_most}, so no row could stay"
            )
        return self


def judge(rows: pl.LazyFrame, params: Params, context: FilterContext) -> pl.DataFrame:
    """Drop shorter and longer texts and rows without one."""
    import polars as pl

    need_text(rows, params.column, "length_range")
    text = pl.col(params.column).cast(pl.String)
    length = text.str.len_chars() if params.unit == "chars" else text.str.count_matches(r"\S+")
    low = params.at_least if params.at_least is not None else 0
    missing = pl.when(text.is_null()).then(pl.lit(f"no {params.column}"))
    reason = missing.when(length < low).then(pl.lit(f"under {low} {params.unit}"))
    if params.at_most is not None:
        reason = reason.when(length > params.at_most).then(pl.lit(f"over {params.at_most} {params.unit}"))
    return judge_by(rows, reason)
