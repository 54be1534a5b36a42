"""Filters of data sets, one file each: which rows stay, and why the others go.

A filter module has `Params` (a fingerprint.Config), `DOC` (one line) and

    judge(rows: pl.LazyFrame, params, context) -> pl.DataFrame    columns id and reason (null: the row stays)

in the order of the rows; it reads only the columns that it needs. A filter that also changes rows has

    rewrite(schema: pl.Schema, params) -> {column: pl.Expr}       all columns from then on

over the columns so far and those that its `judge` returned besides id and reason. It may also have

    check(rows: pl.DataFrame) -> None    raises where the columns so far contradict what its `judge` returned

called with batches of rows that stay, as far as they are read for what is computed of them.

`MAIN` names the parameter that the short form {NAME: value} sets. Importing a filter loads no data library.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.catalogue import Catalogue
from pipeline.errors import InputError, suggest
from pipeline.fingerprint import Config

if TYPE_CHECKING:
    import polars as pl

    from pipeline.filters._pool import Workers

_catalogue = Catalogue("pipeline.filters", __path__, "filter")
names = _catalogue.names
get = _catalogue.module
params_model = _catalogue.params_model


@dataclass(frozen=True)
class FilterContext:
    """What a filter is given besides its rows: other data sets, a tokenizer, the seed, how much at once, processes
    to share the work with, and where the folders lie that parameters name by digest."""

    against: tuple[Path, ...] = field(default=())
    tokenizer: Path | None = None
    seed: int = 0
    batch_rows: int = 1024
    processes: int = 1
    workers: Workers | None = None
    folders: Mapping[str, str] = field(default_factory=dict)


def read_short_form(name: str, params: Any) -> Mapping[str, Any]:
    """The parameters of {NAME: params}: nothing, a mapping, or one value for the filter's MAIN parameter."""
    if params is None:
        return {}
    if isinstance(params, Mapping):
        return params
    return {getattr(get(name), "MAIN", None) or "value": params}


def validate(name: str, params: Any = None) -> Config:
    """The validated parameters, short form allowed; pydantic's ValidationError where they do not fit."""
    options = {key: _frozen(value) for key, value in read_short_form(name, params).items()}
    return _catalogue.validate(name, options)


def describe(name: str) -> str:
    """One line on what the filter keeps, then its parameters."""
    module = get(name)
    lines = [f"{name}: {module.DOC}"]
    for key, info in module.Params.model_fields.items():
        default = "required" if info.is_required() else f"default {info.get_default()!r}"
        lines.append(f"  {key}: {info.description} ({default})")
    return "\n".join(lines)


def _frozen(value: Any) -> Any:
    return tuple(_frozen(item) for item in value) if isinstance(value, list) else value


def judge_by(rows: pl.LazyFrame, reason: pl.Expr) -> pl.DataFrame:
    """Ids and reasons from one expression, streamed; only the columns of the expression are read."""
    import polars as pl

    return rows.select("id", reason.cast(pl.String).alias("reason")).collect(engine="streaming")


def judge_batches(
    rows: pl.LazyFrame, columns: Iterable[str], judge: Any, context: FilterContext
) -> pl.DataFrame:
    """Ids and reasons from `judge(batch) -> list of reasons`, called on batches of the named columns."""
    alone = replace(context, workers=None)
    return judge_in_processes(rows, columns, lambda: judge, (), alone)


def judge_in_processes(
    rows: pl.LazyFrame, columns: Iterable[str], make: Any, arguments: tuple[Any, ...], context: FilterContext
) -> pl.DataFrame:
    """The same with `make(*arguments)` for judge, made anew in each of several processes (a function of a module)."""
    import polars as pl

    ids, results = map_batches(rows, columns, make, arguments, context)
    reasons = [pl.Series("reason", found, dtype=pl.String) for found in results]
    return pl.DataFrame({"id": ids, "reason": pl.concat([pl.Series("reason", dtype=pl.String), *reasons])})


def map_batches(
    rows: pl.LazyFrame, columns: Iterable[str], make: Any, arguments: tuple[Any, ...], context: FilterContext
) -> tuple[pl.Series, list[Any]]:
    """All ids, and what `make(*arguments)` finds in each batch of the named columns (in the context's processes)."""
    import polars as pl

    ids = [pl.Series("id", dtype=pl.String)]
    size = context.batch_rows

    def read() -> Iterator[pl.DataFrame]:
        for batch in rows.select("id", *columns).collect_batches(chunk_size=size, engine="streaming"):
            for part in batch.iter_slices(size):
                ids.append(part["id"])
                yield part.drop("id")

    results = list(
        map(make(*arguments), read())
        if context.workers is None
        else context.workers.map(make, arguments, read())
    )
    return pl.concat(ids), results


def need_columns(rows: pl.LazyFrame, columns: Iterable[str], name: str) -> pl.Schema:
    """The schema of the rows; a column that a filter needs and the rows lack is refused."""
    schema = rows.collect_schema()
    for column in columns:
        if column not in schema:
            raise InputError(f"filter {name}: the rows have no column {column!r}", suggest(column, schema))
    return schema


def need_text(rows: pl.LazyFrame, column: str, name: str) -> None:
    """Refuse a column that is missing or holds something other than text."""
    import polars as pl

    dtype = need_columns(rows, (column,), name)[column]
    if dtype not in (pl.String, pl.Null):
        raise InputError(
            f"filter {name}: column {column!r} holds {dtype}, not text", "Name a column of text."
        )
