"""Keep a random share of the rows, chosen by a keyed hash of the id."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.datasets import seeded_key
from pipeline.filters import FilterContext
from pipeline.fingerprint import Config, content

if TYPE_CHECKING:
    import polars as pl

DOC = "Keep about `share` of the rows; which ones depends on the seed and each row's id only."
MAIN = "share"


class Params(Config):
    """The share that is kept."""

    share: float = content(describe="Share of the rows that is kept.", gt=0, le=1)


def judge(rows: pl.LazyFrame, params: Params, context: FilterContext) -> pl.DataFrame:
    """Drop rows whose key lies above the share of the range of keys."""
    import polars as pl

    ids = rows.select("id").collect(engine="streaming")["id"]
    keys = [seeded_key(name, context.seed) for name in ids]
    limit = pl.lit(min(int(params.share * 2**64), 2**64 - 1), dtype=pl.UInt64)
    frame = pl.DataFrame({"id": ids, "key": pl.Series(keys, dtype=pl.UInt64)})
    reason = pl.when(pl.col("key") > limit).then(pl.lit("not in the sample"))
    return frame.select("id", reason.cast(pl.String).alias("reason"))
