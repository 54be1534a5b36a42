"""One correct trace per problem, drawn at random with the seed; it becomes `solution` (P0, FACTS 1.2).

For sets in OpenR1's form: lists `generations`, `correctness_math_verify`, `correctness_llama` and
`is_reasoning_complete`, one element per trace. P0 does not say which flag it took; a trace is correct
here when either flag is true, and it must be complete, unless the parameters say otherwise.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pipeline.datasets import seeded_key
from pipeline.filters import FilterContext, need_columns
from pipeline.fingerprint import Config, content

if TYPE_CHECKING:
    import polars as pl

DOC = "Keep problems with a correct trace; one of them, drawn with the seed, becomes the solution."

TRACES = "generations"
COMPLETE = "is_reasoning_complete"
FLAGS = {
    "math_verify": ("correctness_math_verify",),
    "llama": ("correctness_llama",),
    "either": ("correctness_math_verify", "correctness_llama"),
}


class Params(Config):
    """Which traces count as correct."""

    verified_by: Literal["either", "math_verify", "llama"] = content(
        "either", describe="Flag that says correct."
    )
    complete: bool = content(True, describe="Only traces whose reasoning is complete.")


def judge(rows: pl.LazyFrame, params: Params, context: FilterContext) -> pl.DataFrame:
    """Drop problems without a correct (and complete) trace."""
    import polars as pl

    chosen = _choose(rows, params, context)
    reason = pl.when(pl.col("trace_index").is_null()).then(pl.lit("no correct trace"))
    return chosen.select("id", reason.cast(pl.String).alias("reason"))


def rewrite(rows: pl.LazyFrame, params: Params, context: FilterContext) -> pl.LazyFrame:
    """Put the chosen trace into `solution` and its number into `trace_index`; the lists are left out."""
    import polars as pl

    known = rows.collect_schema()
    lists = [name for name in (TRACES, COMPLETE, *FLAGS["either"], "finish_reasons") if name in known]
    chosen = _choose(rows, params, context)
    joined = rows.join(chosen.lazy(), on="id", how="left", maintain_order="left")
    trace = pl.col(TRACES).list.get(pl.col("trace_index"), null_on_oob=True)
    return joined.with_columns(solution=trace).drop(lists)


def _choose(rows: pl.LazyFrame, params: Params, context: FilterContext) -> pl.DataFrame:
    """The index of the chosen trace of every row (null: none); reads only the flags."""
    import polars as pl

    flags = FLAGS[params.verified_by]
    needed = (*flags, COMPLETE) if params.complete else flags
    need_columns(rows, (TRACES, *needed), "one_correct_trace")
    frame = rows.select("id", *needed).collect(engine="streaming")
    chosen = []
    for name, *values in frame.iter_rows():
        correct = {
            i for flag in values[: len(flags)] for i, is_correct in enumerate(flag or ()) if is_correct
        }
        if params.complete:
            correct &= {i for i, is_complete in enumerate(values[-1] or ()) if is_complete}
        chosen.append(_draw(sorted(correct), f"trace:{name}", context.seed))
    return pl.DataFrame({"id": frame["id"], "trace_index": pl.Series(chosen, dtype=pl.Int64)})


def _draw(choices: list[int], name: str, seed: int) -> int | None:
    """One of the choices, decided by the seed and the name."""
    if not choices:
        return None
    return choices[seeded_key(name, seed) % len(choices)]
