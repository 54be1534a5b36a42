"""Shards of sampled responses: what a killed sampling job resumes from, and what it measured.

A working file that cannot be read (a full disk, a machine that lost power) is named and made again, never
counted as done; where later files were made from it, the job stops and says what to move away.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.errors import StageError
from pipeline.store.atomic import replaced_file

if TYPE_CHECKING:
    import polars

    from pipeline.engines.sampling.protocol import Response, Sampler


class Shards:
    """work/shard-00000.parquet …: finished rows in the order of finishing, each file whole or absent."""

    def __init__(self, work: Path, rows: polars.DataFrame) -> None:
        import polars as pl

        self.work, self.rows = work, rows
        self.paths = [path for path in sorted(work.glob("shard-*.parquet")) if is_whole(path)]
        self.notes = [pl.read_parquet_metadata(path) for path in self.paths]
        self.done = {
            row for path in self.paths for row in pl.read_parquet(path, columns=["position"])["position"]
        }

    @property
    def seconds(self) -> float:
        """Seconds of generation in all saved shards, over all attempts."""
        return sum(float(note["seconds"]) for note in self.notes)

    def versions(self) -> dict[str, str]:
        """The engine's packages, as of the last shard."""
        return json.loads(self.notes[-1]["versions"])

    def collect(self) -> polars.DataFrame:
        """All finished rows in the order of their positions, each once."""
        import polars as pl

        rows = pl.concat([pl.read_parquet(path) for path in self.paths])
        return rows.unique("position", keep="first").sort("position")

    def drop(self) -> None:
        """Remove the shards; what they held has been written elsewhere."""
        for path in self.paths:
            path.unlink(missing_ok=True)

    def save(self, responses: list[Response], sampler: Sampler, seconds: float) -> None:
        """Write one shard; `seconds` of generation go into its metadata."""
        import polars as pl

        decoded = sampler.tokenizer.batch_decode([r.token_ids for r in responses], skip_special_tokens=True)
        found = pl.DataFrame(
            {
                "position": [r.position for r in responses],
                "response": decoded,
                "n_tokens": [len(r.token_ids) for r in responses],
                "finish_reason": [r.finish_reason for r in responses],
            },
            schema_overrides={"position": self.rows.schema["position"], "n_tokens": pl.Int64},
        )
        note = {"seconds": repr(seconds), "versions": json.dumps(sampler.versions())}
        number = int(self.paths[-1].stem.removeprefix("shard-")) + 1 if self.paths else 0
        path = self.work / f"shard-{number:05d}.parquet"
        write_frame(path, found.join(self.rows, on="position", how="left"), note)
        self.paths.append(path)
        self.notes.append(note)
        self.done.update(found["position"])


def is_whole(path: Path) -> bool:
    """Whether an earlier attempt left this working file; a damaged one is named and removed."""
    import polars as pl

    if not path.exists():
        return False
    try:
        pl.read_parquet(path)
    except (OSError, pl.exceptions.PolarsError) as problem:
        reason = str(problem).splitlines()[0]
        print(f"{path}: damaged, what it held is made again: {reason}", file=sys.stderr)
        path.unlink()
        return False
    return True


def read_made(path: Path) -> tuple[polars.DataFrame, dict[str, str]]:
    """A working file from which later ones were made, and its notes; StageError where it is damaged."""
    import polars as pl

    try:
        return pl.read_parquet(path), pl.read_parquet_metadata(path)
    except (OSError, pl.exceptions.PolarsError) as problem:
        raise StageError(
            f"{path}: damaged: {str(problem).splitlines()[0]}",
            f"Move {path.parent} away and run again; what it holds is made again.",
        ) from problem


def measure(frame: polars.DataFrame, seconds: float, versions: dict[str, str]) -> dict[str, Any]:
    """The facts of a finished sampling: counts, tokens (EOS excluded), speed, share cut off, versions."""
    tokens = int(frame["n_tokens"].sum())
    return {
        "responses": frame.height,
        "generated_tokens": tokens,
        "seconds": round(seconds, 3),
        "tokens_per_second": round(tokens / seconds, 1) if seconds else 0.0,
        "truncated": float((frame["finish_reason"] == "length").mean()),
        **{f"version_{name}": version for name, version in versions.items()},
    }


def write_frame(path: Path, frame: polars.DataFrame, note: dict[str, str] | None = None) -> None:
    """Write a Parquet file that appears only when it is whole; StageError where the disk refuses."""
    try:
        with replaced_file(path) as scratch:
            frame.write_parquet(scratch, metadata=note)
    except OSError as problem:
        raise StageError(
            f"{path}: cannot be written: {problem}", "Free some disk space and run again."
        ) from problem
