"""The data path as a researcher would write it: `datasets.map` and `filter`, two processes, plain Python.

`python -m bench.peer_data_path FOLDER ROWS TOKENS` reads FOLDER/sample, FOLDER/benchmarks and
FOLDER/tokenizer and writes the subsets into the working folder. It shares with ours only what must be the same for
the same rows to be kept: the draw of a trace, the order of the subsets and the hash functions of MinHash.
"""

from __future__ import annotations

import hashlib
import re
import sys
import unicodedata
import zlib
from pathlib import Path

import numpy as np
from datasets import load_dataset
from transformers import AutoTokenizer

from bench.data_path import BENCHMARKS, subset_sizes
from pipeline.datasets import seeded_key

PROCESSES = 2
PRIME = 2**31 - 1
BANDS, ROWS_PER_BAND = 21, 6
KEPT = ["uuid", "problem", "answer", "generations", "correctness_math_verify", "correctness_llama", "is_reasoning_complete"]  # fmt: skip


def main(folder: Path, rows: int, tokens: int) -> None:
    """Filter and cut."""
    data = load_dataset(
        "parquet",
        data_files=str(folder / "sample/all/*.parquet"),
        split="train",
        cache_dir=str(folder / "peer/cache"),
    )
    data = data.select_columns(KEPT)
    data = data.add_column("id", _ids(data["problem"]))
    data = data.map(_choose_trace, num_proc=PROCESSES, remove_columns=KEPT[3:])
    data = data.filter(lambda row: row["solution"] is not None, num_proc=PROCESSES)
    tokenizer = AutoTokenizer.from_pretrained(folder / "tokenizer")
    data = data.map(
        lambda batch: {
            "n_tokens": [
                len(ids) for ids in tokenizer(batch["solution"], add_special_tokens=False)["input_ids"]
            ]
        },
        batched=True,
        batch_size=100,
        num_proc=PROCESSES,
    )
    data = data.filter(lambda row: row["n_tokens"] <= tokens, num_proc=PROCESSES)
    seen: set[str] = set()
    data = data.filter(lambda row: _is_new(row["problem"], seen))
    near = _Near()
    data = data.filter(lambda row: near.is_new(row["problem"]))
    runs = _benchmark_runs(folder / "benchmarks")
    data = data.filter(lambda row: not _leaks(row["problem"], runs), num_proc=PROCESSES)
    keys = [(seeded_key(name, 0), name) for name in data["id"]]
    order = sorted(range(len(keys)), key=keys.__getitem__)
    for name, size in subset_sizes(rows, len(data)).items():
        data.select(order[:size]).to_parquet(f"subset-{name}.parquet")


def _ids(problems: list[str]) -> list[str]:
    counts: dict[str, int] = {}
    found = []
    for problem in problems:
        name = hashlib.sha256(problem.strip().encode()).hexdigest()[:16]
        counts[name] = counts.get(name, 0) + 1
        found.append(name if counts[name] == 1 else f"{name}-{counts[name]}")
    return found


def _choose_trace(row: dict) -> dict:
    verified = row["correctness_math_verify"] or []
    judged = row["correctness_llama"] or []
    complete = row["is_reasoning_complete"] or []
    good = [
        i
        for i in range(len(row["generations"]))
        if complete[i] and ((i < len(verified) and verified[i]) or (i < len(judged) and judged[i]))
    ]
    if not good:
        return {"solution": None}
    return {"solution": row["generations"][good[seeded_key(f"trace:{row['id']}", 0) % len(good)]]}


def _is_new(problem: str, seen: set[str]) -> bool:
    text = re.sub(r"\s+", " ", unicodedata.normalize("NFKC", problem).lower()).strip()
    if text in seen:
        return False
    seen.add(text)
    return True


class _Near:
    """MinHash with bands, one row at a time."""

    def __init__(self) -> None:
        draw = np.random.Generator(np.random.PCG64(0))
        size = (BANDS * ROWS_PER_BAND, 1)
        self.factors = draw.integers(1, PRIME, size=size, dtype=np.uint64)
        self.offsets = draw.integers(0, PRIME, size=size, dtype=np.uint64)
        self.tables: list[dict] = [{} for _ in range(BANDS)]
        self.kept: list[set] = []

    def is_new(self, problem: str) -> bool:
        words = re.findall(r"\w+|[^\w\s]", unicodedata.normalize("NFKC", problem).lower())
        runs = {" ".join(words[i : i + 3]) for i in range(max(1, len(words) - 2))}
        shingles = {zlib.crc32(run.encode()) % PRIME for run in runs}
        values = np.array(sorted(shingles), dtype=np.uint64)
        signature = ((self.factors * values + self.offsets) % PRIME).min(axis=1)
        keys = [tuple(band) for band in signature.reshape(BANDS, ROWS_PER_BAND).tolist()]
        near = {i for table, key in zip(self.tables, keys, strict=True) for i in table.get(key, [])}
        for i in near:
            if len(shingles & self.kept[i]) / len(shingles | self.kept[i]) >= 0.8:
                return False
        for table, key in zip(self.tables, keys, strict=True):
            table.setdefault(key, []).append(len(self.kept))
        self.kept.append(shingles)
        return True


def _words(text: str) -> list[str]:
    return re.findall(r"[^\W_]+", unicodedata.normalize("NFKC", text).lower())


def _benchmark_runs(folder: Path) -> dict[int, set[tuple[str, ...]]]:
    runs: dict[int, set[tuple[str, ...]]] = {}
    for name in BENCHMARKS:
        for problem in load_dataset("parquet", data_files=str(folder / name / "rows.parquet"), split="train")[
            "problem"
        ]:
            words = _words(problem)
            size = min(13, len(words))
            found = runs.setdefault(size, set())
            found.update(tuple(words[i : i + size]) for i in range(len(words) - size + 1))
    return runs


def _leaks(problem: str, runs: dict[int, set[tuple[str, ...]]]) -> bool:
    words = _words(problem)
    for size, known in runs.items():
        if size < 8:
            if tuple(words) in known:
                return True
        elif any(tuple(words[i : i + size]) in known for i in range(len(words) - size + 1)):
            return True
    return False


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
