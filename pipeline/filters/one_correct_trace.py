"""One correct trace per problem, drawn at random with the seed; it becomes `solution` (P0, FACTS 1.2).

For sets in OpenR1's form: lists `generations`, `correctness_math_verify`, `correctness_llama` and
`is_reasoning_complete`, one element per trace. P0 does not say which flag it took; a trace is correct
here when either flag is true, and it must be complete, unless the parameters say otherwise. A list of flags may
be absent (null or empty). Refused, naming the row: one that is longer or shorter than another or than the traces.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pipeline.datasets import seeded_key
from pipeline.errors import InputError
from pipeline.filters import FilterContext, need_columns
from pipeline.fingerprint import Config, content

if TYPE_CHECKING:
    import polars as pl

DOC = "Keep problems with a correct trace; one of them, drawn with the seed, becomes the solution."

TRACES = "generations"
COMPLETE = "is_reasoning_complete"
FLAGGED = "_flagged_traces"
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
    """Drop problems without a correct (and complete) trace; `trace_index` says which one the others get."""
    import polars as pl

    flags = FLAGS[params.verified_by]
    needed = (*flags, COMPLETE) if params.complete else flags
    _need_lists(rows, needed)
    frame = rows.select("id", *needed).collect(engine="streaming")
    chosen, sizes = [], []
    for name, *values in frame.iter_rows():
        sizes.append(_count_flags(name, dict(zip(needed, values, strict=True))))
        correct = {
            i for flag in values[: len(flags)] for i, is_correct in enumerate(flag or ()) if is_correct
        }
        if params.complete:
            correct &= {i for i, is_complete in enumerate(values[-1] or ()) if is_complete}
        chosen.append(_draw(sorted(correct), f"trace:{name}", context.seed))
    index = pl.Series("trace_index", chosen, dtype=pl.Int64)
    reason = pl.select(pl.when(index.is_null()).then(pl.lit("no correct trace"))).to_series()
    noted = {"trace_index": index, FLAGGED: pl.Series(sizes, dtype=pl.Int64)}
    return pl.DataFrame({"id": frame["id"], "reason": reason.cast(pl.String), **noted})


def rewrite(schema: pl.Schema, params: Params) -> dict[str, pl.Expr]:
    """Put the chosen trace into `solution` and its number into `trace_index`; the lists are left out."""
    import polars as pl

    gone = (TRACES, COMPLETE, *FLAGS["either"], "finish_reasons", "solution", "trace_index")
    columns = {name: pl.col(name) for name in schema if name not in gone or name == "solution"}
    return {
        **columns,
        "solution": pl.col(TRACES).list.get("trace_index"),
        "trace_index": pl.col("trace_index"),
    }


def check(rows: pl.DataFrame) -> None:
    """Refuse a row with more or fewer traces than flags; here, because judging does not read the traces."""
    import polars as pl

    if not {"id", TRACES} <= set(rows.columns):
        return
    traces = pl.col(TRACES).list.len().fill_null(0)
    for name, size, flags in rows.filter(traces != pl.col(FLAGGED)).select("id", traces, FLAGGED).iter_rows():
        raise _uneven(name, f"{size} traces and flags of {flags}")


def _count_flags(name: str, flags: dict[str, list[bool] | None]) -> int:
    """How many traces a row's flags are about."""
    sizes = {column: len(values) for column, values in flags.items() if values}
    if len(set(sizes.values())) > 1:
        raise _uneven(name, ", ".join(f"{size} in {column}" for column, size in sizes.items()))
    return next(iter(sizes.values()), 0)


def _uneven(name: str, what: str) -> InputError:
    return InputError(
        f"filter one_correct_trace: the lists of row {name!r} are of different length: {what}",
        "Mend the row: every list needs one element per trace; or leave it out before this filter.",
    )


def _need_lists(rows: pl.LazyFrame, flags: tuple[str, ...]) -> None:
    """Refuse rows that are not in OpenR1's form."""
    import polars as pl

    schema = need_columns(rows, (TRACES, *flags), "one_correct_trace")
    for name, inner in ((TRACES, pl.String), *((flag, pl.Boolean) for flag in flags)):
        if schema[name] not in (pl.List(inner), pl.List(pl.Null), pl.Null):
            kind = "texts" if name == TRACES else "true and false"
            raise InputError(
                f"filter one_correct_trace: column {name!r} holds {schema[name]}, not lists of {kind}",
                "It needs one element per trace, as in open-r1/OpenR1-Math-220k.",
            )


def _draw(choices: list[int], name: str, seed: int) -> int | None:
    """One of the choices, decided by the seed and the name."""
    if not choices:
        return None
    return choices[seeded_key(name, seed) % len(choices)]
