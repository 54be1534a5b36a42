"""The rows that are left of a rows.parquet, with some columns computed: what one filter hands to the next.

Nothing is written between two filters: a view knows the places of the rows that are left and the expressions
of rewritten columns, and reads only what those need. Guarantees: the file's order; memory of a few batches.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from polars.io.plugins import register_io_source

from pipeline.engines.rows.parquet import RowWriter, read_columns, read_tables, to_frame, to_table


@dataclass(frozen=True)
class Layer:
    """Columns that a filter computes from those below it and from what its judgement noted (`aside`).

    `aside` has one line per row of the file, in its order. `check` may refuse rows below and what was noted of them:
    those that are read anyway, with the columns that are.
    """

    columns: Mapping[str, pl.Expr]
    aside: pl.DataFrame
    check: Callable[[pl.DataFrame], None] = lambda rows: None


@dataclass(frozen=True)
class RowView:
    """Rows of a file that are left, and the layers of rewritten columns over them."""

    path: Path
    keep: np.ndarray
    schema: pl.Schema
    layers: tuple[Layer, ...] = ()

    @classmethod
    def of_file(cls, path: Path, rows: int) -> RowView:
        """All rows and columns of a file."""
        return cls(path, np.ones(rows, dtype=bool), read_columns(path))

    def without(self, gone: np.ndarray) -> RowView:
        """The view less some of its rows; `gone` has one entry per row of the view."""
        keep = self.keep.copy()
        keep[np.flatnonzero(self.keep)[gone]] = False
        return RowView(self.path, keep, self.schema, self.layers)

    def rewritten(
        self, columns: Mapping[str, pl.Expr], noted: pl.DataFrame, **options: Callable[[pl.DataFrame], None]
    ) -> RowView:
        """The view with these columns instead of its own; `noted` has one line per row of the view."""
        places = pl.DataFrame({"_place": np.flatnonzero(self.keep)})
        whole = pl.DataFrame({"_place": np.arange(len(self.keep))})
        aside = whole.join(
            pl.concat([places, noted], how="horizontal"), on="_place", how="left", maintain_order="left"
        )
        aside = aside.drop("_place")
        below = pl.DataFrame(schema={**self.schema, **aside.schema})
        schema = below.select(**columns).schema
        return RowView(self.path, self.keep, schema, (*self.layers, Layer(columns, aside, **options)))

    def scan(self) -> pl.LazyFrame:
        """The rows as a polars frame that reads only the columns that are asked for."""

        def read(
            wanted: list[str] | None, predicate: pl.Expr | None, n_rows: int | None, batch_size: int | None
        ) -> Iterator[pl.DataFrame]:
            left = n_rows
            for frame in self.batches(wanted or list(self.schema)):
                part = frame if left is None else frame.head(left)
                yield part if predicate is None else part.filter(predicate)
                left = None if left is None else left - len(part)
                if left == 0:
                    return

        return register_io_source(read, schema=self.schema, is_pure=True)

    def batches(self, wanted: Sequence[str]) -> Iterator[pl.DataFrame]:
        """The named columns, a few hundred rows at a time."""
        needed = [set(wanted)]
        for layer in reversed(self.layers):
            roots = {root for name in needed[-1] for root in layer.columns[name].meta.root_names()}
            needed.append(roots - set(layer.aside.columns))
        in_file, *above = reversed(needed)
        start = 0
        for table in read_tables(self.path, sorted(in_file)):
            end = start + len(table)
            kept = pl.Series(self.keep[start:end])
            frame = to_frame(table).filter(kept)
            for layer, names in zip(self.layers, above, strict=True):
                aside = layer.aside.slice(start, end - start).filter(kept)
                frame = pl.concat([frame, aside], how="horizontal")
                layer.check(frame)
                frame = frame.select(**{name: layer.columns[name] for name in layer.columns if name in names})
            start = end
            if len(frame):
                yield frame.select(wanted)

    def write(self, target: Path) -> None:
        """Write the rows that are left, with all their columns, into one file."""
        with RowWriter(target) as writer:
            for batch in self.batches(list(self.schema)):
                writer.write(to_table(batch))
