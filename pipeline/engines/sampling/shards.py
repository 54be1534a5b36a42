"""Shards of sampled responses: what a killed sampling job resumes from, and what it measured."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl

from pipeline.engines.rows.frames import is_whole, mean_of, write_frame
from pipeline.engines.sampling.protocol import Response, Sampler


class Shards:
    """work/shard-00000.parquet …: finished rows in the order of finishing, each file whole or absent."""

    def __init__(self, work: Path, rows: pl.DataFrame) -> None:
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

    def collect(self) -> pl.DataFrame:
        """All finished rows in the order of their positions, each once."""
        rows = pl.concat([pl.read_parquet(path) for path in self.paths])
        return rows.unique("position", keep="first").sort("position")

    def drop(self) -> None:
        """Remove the shards; what they held has been written elsewhere."""
        for path in self.paths:
            path.unlink(missing_ok=True)

    def save(self, responses: list[Response], sampler: Sampler, seconds: float) -> None:
        """Write one shard; `seconds` of generation go into its metadata."""
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


def measure(frame: pl.DataFrame, seconds: float, versions: dict[str, str]) -> dict[str, Any]:
    """The facts of a finished sampling: counts, tokens (EOS excluded), speed, share cut off, versions."""
    tokens = int(frame["n_tokens"].sum())
    return {
        "responses": frame.height,
        "generated_tokens": tokens,
        "seconds": round(seconds, 3),
        "tokens_per_second": round(tokens / seconds, 1) if seconds else 0.0,
        "truncated": mean_of(frame["finish_reason"] == "length"),
        **{f"version_{name}": version for name, version in versions.items()},
    }
