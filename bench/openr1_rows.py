"""Synthetic rows in the columns and lengths of OpenR1-Math-220k, benchmarks that leak into them, a tokenizer.

Text is drawn from a vocabulary with Zipf's frequencies (words, numbers, LaTeX, a little that is not ASCII), so
that it compresses and tokenises much like text. A trace is a slice of one large pool of such text, cut
at word ends. Lengths follow a log-normal law: 3 to 60 kB, 13 kB on average, under 1 % above 16,384 tokens.
"""

from __future__ import annotations

import json
import string
import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

POOL_WORDS = 8_000_000
VOCABULARY = 40_000
SHARD_ROWS = 4_500
MEDIAN_BYTES, SIGMA = 10_500, 0.7
SHORTEST, LONGEST = 3_200, 60_000
EXACT, NEAR, LEAKED = 0.03, 0.03, 0.005
"""Shares of rows that repeat an earlier problem, nearly repeat one, and hold a benchmark's problem."""

BENCHMARKS = {
    "aime24": 30, "amc23": 40, "math500": 500, "gsm8k": 1_319, "minerva_math": 272, "olympiadbench": 675,
    "svamp": 1_000, "gaokao2023en": 385,
}  # fmt: skip

SIGNS = (
    "= ", "+ ", "- ", ", ", ". ", ".\n\n", "$x$ ", "\\frac{1}{2} ", "(n+1) ", "^2 ", "x_1 ", "\\boxed{7} ", "≤ ", "π ",
)  # fmt: skip


class Text:
    """The vocabulary, its frequencies, and the pool from which traces are cut."""

    def __init__(self, seed: int) -> None:
        self.draw = np.random.default_rng(seed)
        letters = np.array(list(string.ascii_lowercase))
        sizes = self.draw.integers(2, 11, VOCABULARY)
        words = ["".join(self.draw.choice(letters, size)) + " " for size in sizes]
        for place in range(0, VOCABULARY, 5):
            words[place] = f"{self.draw.integers(0, 2000)} "
        words[1 : 1 + 3 * len(SIGNS) : 3] = SIGNS
        self.words = [word.encode() for word in words]
        weights = 1 / np.arange(4, VOCABULARY + 4)
        self.below = np.cumsum(weights / weights.sum())
        chosen = self._choose(POOL_WORDS)
        lengths = np.array([len(word) for word in self.words])[chosen]
        self.starts = np.concatenate([[0], np.cumsum(lengths)])
        self.pool = memoryview(b"".join([self.words[i] for i in chosen]))

    def _choose(self, count: int) -> np.ndarray:
        return np.minimum(np.searchsorted(self.below, self.draw.random(count)), VOCABULARY - 1)

    def sentence(self, words: int) -> str:
        """So many words."""
        return b"".join([self.words[i] for i in self._choose(words)]).decode().strip()

    def traces(self, count: int) -> tuple[bytes, np.ndarray]:
        """`count` traces one after the other, and their offsets."""
        wanted = np.clip(self.draw.lognormal(np.log(MEDIAN_BYTES), SIGMA, count), SHORTEST, LONGEST)
        first = self.draw.integers(0, len(self.starts) - LONGEST, count)
        last = np.searchsorted(self.starts, self.starts[first] + wanted.astype(np.int64))
        begin, end = self.starts[first], self.starts[last]
        offsets = np.concatenate([[0], np.cumsum(end - begin)])
        return b"".join([self.pool[a:b] for a, b in zip(begin, end, strict=True)]), offsets


def write_benchmarks(text: Text, folder: Path) -> None:
    """One folder with rows.parquet per benchmark, as the source stage leaves it."""
    for name, count in BENCHMARKS.items():
        problems = [text.sentence(size) for size in text.draw.integers(16, 70, count)]
        (folder / name).mkdir(parents=True)
        ids = [f"{name}-{i}" for i in range(count)]
        pl.DataFrame({"id": ids, "problem": problems}).write_parquet(folder / name / "rows.parquet")


def write_data_set(text: Text, leaks: list[str], rows: int, folder: Path) -> int:
    """`rows` rows as the hub lays them out (README.md, all/train-*.parquet); returns the bytes of text."""
    (folder / "all").mkdir(parents=True)
    card = {"configs": [{"config_name": "all", "data_files": [{"split": "train", "path": "all/train-*"}]}]}
    (folder / "README.md").write_text(f"---\n{json.dumps(card)}\n---\n")
    shards = -(-rows // SHARD_ROWS)
    written, problems = 0, list[str]()
    for shard in range(shards):
        count = min(SHARD_ROWS, rows - shard * SHARD_ROWS)
        problems += _problems(text, leaks, problems, count)
        table = _shard(text, problems[-count:], shard * SHARD_ROWS)
        written += table.nbytes
        name = f"train-{shard:05d}-of-{shards:05d}.parquet"
        pq.write_table(table, folder / "all" / name, compression="zstd", compression_level=1, row_group_size=1_000)  # fmt: skip
    return written


def _problems(text: Text, leaks: list[str], before: list[str], count: int) -> list[str]:
    """New problems, some of which repeat one of the last ones, nearly repeat one, or contain a leak."""
    fate = text.draw.random(count)
    sizes = text.draw.integers(25, 90, count)
    found: list[str] = []
    for i in range(count):
        earlier = before[-20_000:] or found or [text.sentence(40)]
        old = earlier[int(text.draw.integers(len(earlier)))]
        if fate[i] < EXACT:
            found.append(f"  {old.upper()}\n")
        elif fate[i] < EXACT + NEAR:
            words = old.split(" ")
            words[int(text.draw.integers(len(words)))] = "changed"
            found.append(" ".join(words))
        elif fate[i] < EXACT + NEAR + LEAKED:
            found.append(f"{text.sentence(6)} {leaks[int(text.draw.integers(len(leaks)))]}")
        else:
            found.append(text.sentence(int(sizes[i])))
    return found


def _shard(text: Text, problems: list[str], first: int) -> Any:
    rows = len(problems)
    each = text.draw.integers(2, 5, rows)
    lists = pa.array(np.concatenate([[0], np.cumsum(each)]).astype(np.int32))
    data, offsets = text.traces(int(each.sum()))
    buffers = [None, pa.py_buffer(offsets.astype(np.int32).tobytes()), pa.py_buffer(data)]
    traces = pa.StringArray.from_buffers(int(each.sum()), buffers[1], buffers[2])
    of_lists = lambda values: pa.ListArray.from_arrays(lists, pa.array(values))
    total = int(each.sum())
    correct = text.draw.random(total) < 0.75
    has_llama = text.draw.random(rows) < 0.12
    llama = of_lists(text.draw.random(total) < 0.7).to_pylist()
    return pa.table(
        {
            "problem": problems,
            "solution": [text.sentence(60) for _ in range(200)] * (rows // 200) + ["short"] * (rows % 200),
            "answer": [str(number) for number in text.draw.integers(0, 1000, rows)],
            "problem_type": ["Algebra"] * rows,
            "question_type": ["math-word-problem"] * rows,
            "source": ["olympiads"] * rows,
            "uuid": [f"{first + i:08d}-0000-5000-8000-000000000000" for i in range(rows)],
            "is_reasoning_complete": of_lists(text.draw.random(total) < 0.95),
            "generations": pa.ListArray.from_arrays(lists, traces),
            "correctness_math_verify": of_lists(correct),
            "correctness_llama": [
                flags if has else None for flags, has in zip(llama, has_llama, strict=True)
            ],
            "finish_reasons": of_lists(["stop"] * total),
            "correctness_count": each,
        }
    )


def write_tokenizer(text: Text, folder: Path) -> None:
    """A byte-level BPE of 32,000 tokens with Qwen2's normaliser and pre-tokenizer, trained on the pool."""
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    built = Tokenizer(models.BPE())
    built.normalizer = normalizers.NFC()
    built.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(QWEN2), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    built.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=32_000, show_progress=False, initial_alphabet=alphabet, special_tokens=["<|endoftext|>"]
    )
    pieces = bytes(text.pool[: text.starts[2_000_000]]).decode()
    built.train_from_iterator((pieces[i : i + 100_000] for i in range(0, len(pieces), 100_000)), trainer)
    PreTrainedTokenizerFast(tokenizer_object=built, eos_token="<|endoftext|>").save_pretrained(folder)


QWEN2 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
    r"|\s+(?!\S)|\s+"
)
"""How Qwen2's tokenizer splits text before merging bytes."""


def main(sets: dict[str, int]) -> None:
    """Write data sets of so many rows, the benchmarks and the tokenizer into the working folder."""
    text = Text(1)
    if not Path("tokenizer").exists():
        write_benchmarks(text, Path("benchmarks"))
        write_tokenizer(text, Path("tokenizer"))
    leaks = [
        problem
        for name in BENCHMARKS
        for problem in pl.read_parquet(f"benchmarks/{name}/rows.parquet")["problem"].to_list()
    ]
    for name, rows in sets.items():
        text.draw = np.random.default_rng([2, rows])  # never the draws that made the benchmarks
        size = write_data_set(text, leaks, rows, Path(name))
        Path(name, "size.json").write_text(json.dumps({"rows": rows, "bytes": size}))


if __name__ == "__main__":
    main({name: int(rows) for name, rows in (word.split("=") for word in sys.argv[1:])})
