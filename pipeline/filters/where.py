"""Keep rows by the value of a column: equal, one of several, or within bounds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import model_validator

from pipeline.errors import InputError
from pipeline.filters import FilterContext, judge_by, need_columns
from pipeline.fingerprint import Config, content

if TYPE_CHECKING:
    import polars as pl

DOC = "Keep rows whose column equals a value, is one of several, or lies within bounds; types must agree."

Value = str | int | float | bool


class Params(Config):
    """The column and the tests, all of which a row must pass; null and NaN pass none."""

    column: str = content(describe="Column that decides.")
    equals: Value | None = content(None, describe="The value it must have.")
    one_of: tuple[Value, ...] | None = content(
        None, describe="Values of which it must have one.", min_length=1
    )
    at_least: int | float | None = content(None, describe="Smallest number kept.")
    at_most: int | float | None = content(None, describe="Largest number kept.")

    @model_validator(mode="after")
    def _has_a_test(self) -> Params:
        if all(test is None for test in (self.equals, self.one_of, self.at_least, self.at_most)):
            raise ValueError("give equals, one_of, at_least or at_most")
        if self.at_least is not None and self.at_most is not None and self.at_least > self.at_most:
            raise ValueError(
                f"at_least {self.at_least} is above at_most {self.at_most}, so no row could stay"
            )
        return self


def judge(rows: pl.LazyFrame, params: Params, context: FilterContext) -> pl.DataFrame:
    """Drop rows that fail a test; values of another type than the column's are refused."""
    import polars as pl

    dtype = need_columns(rows, (params.column,), "where")[params.column]
    column = pl.col(params.column).fill_nan(None) if dtype.is_float() else pl.col(params.column)
    for value in (params.equals, params.at_least, params.at_most, *(params.one_of or ())):
        if value is not None:
            _check_type(value, dtype, params.column)
    keep = pl.lit(True)
    if params.equals is not None:
        keep &= column == pl.lit(params.equals)
    if params.one_of is not None:
        keep &= pl.any_horizontal(*(column == pl.lit(value) for value in params.one_of))
    if params.at_least is not None:
        keep &= column >= params.at_least
    if params.at_most is not None:
        keep &= column <= params.at_most
    return judge_by(rows, pl.when(~keep.fill_null(False)).then(pl.lit(f"{params.column} is another value")))


def _check_type(value: Value, dtype: pl.DataType, column: str) -> None:
    import polars as pl

    if isinstance(value, bool):
        fits = dtype == pl.Boolean
    elif isinstance(value, (int, float)):
        fits = dtype.is_numeric()
    else:
        fits = dtype == pl.String
    if not fits:
        raise InputError(
            f"filter where: column {column!r} holds {dtype}, compared with {value!r}",
            "Write the value in the column's own type, with or without quotation marks.",
        )
