"""Examples of SFT: problem and solution of every row, as token ids with the labels that carry loss.

Guaranteed: loss falls on the response only (unless `loss_on: all`), the same tokens as TRL's own preparation gives.
Refused: no rows, rows without a solution, rows whose whole response is cut off by max_length, chat templates that
drop or rewrite a response.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
from datasets import Dataset, Features, List, Value

from pipeline.engines.policy.folder import apply_template
from pipeline.errors import InputError
from pipeline.prompt import Prompt
from pipeline.stages.sft import SftConfig

_FEATURES = Features({"input_ids": List(Value("int32")), "labels": List(Value("int32"))})
_CHUNK = 1_000


@dataclass(frozen=True)
class TokenizedExamples:
    """Tokenised examples; `truncated` rows lost their end, `dropped` ones their whole response."""

    dataset: Dataset
    lengths: list[int]
    truncated: int
    dropped: int


def read_examples(rows: Path) -> list[tuple[str, str]]:
    """(problem, solution) of every row; InputError where there is none or a solution is missing."""
    if not rows.is_file():
        raise InputError(f"{rows}: there is no such file", "Make the data set first.")
    frame = pl.read_parquet(rows)
    if missing := {"problem", "solution"} - set(frame.columns):
        raise InputError(f"{rows}: column {sorted(missing)[0]} is missing", "SFT needs problem and solution.")
    if frame.is_empty():
        raise InputError(f"{rows}: the data set has no rows", "Check its filters and its number of rows.")
    empty = frame.filter(
        pl.col("solution").is_null()
        | (pl.col("solution").str.strip_chars() == "")
        | pl.col("problem").is_null()
    )
    if not empty.is_empty():
        raise InputError(
            f"{rows}: {len(empty)} of {len(frame)} rows have no solution to train on",
            "Filter them out, or take a data set that has solutions.",
        )
    return list(zip(frame["problem"].to_list(), frame["solution"].to_list(), strict=True))


def tokenize(examples: list[tuple[str, str]], tokenizer: Any, config: SftConfig) -> TokenizedExamples:
    """Apply the chat template and cut at max_length; labels are -100 where no loss falls."""
    tables, lengths, truncated, dropped = [], [], 0, 0
    for first in range(0, len(examples), _CHUNK):
        ids, labels = [], []
        chunk, everything = examples[first : first + _CHUNK], config.loss_on == "all"
        for full, masked in _encode(chunk, tokenizer, config.prompt, everything=everything, first=first):
            truncated += len(full) > config.max_length
            full, masked = full[: config.max_length], masked[: config.max_length]
            if all(label == -100 for label in reversed(masked)):
                dropped += 1
                continue
            ids.append(full)
            labels.append(masked)
            lengths.append(len(full))
        arrays = [pa.array(column, pa.list_(pa.int32())) for column in (ids, labels)]
        tables.append(pa.table(arrays, names=["input_ids", "labels"]))
    if not lengths:
        raise InputError(
            f"max_length {config.max_length} cuts off the whole response of all {len(examples)} rows",
            "Raise max_length, or shorten the prompt.",
        )
    dataset = Dataset(pa.concat_tables(tables).cast(_FEATURES.arrow_schema))
    return TokenizedExamples(dataset, lengths, truncated, dropped)


def _encode(
    chunk: list[tuple[str, str]], tokenizer: Any, prompt: Prompt, *, everything: bool, first: int
) -> Iterator[tuple[list[int], list[int]]]:
    """(token ids, labels) of each example; the response begins where prompt and whole part (as in TRL).

    `first` is the number of the chunk's first row, from 0.
    """
    prompts = [prompt.messages(problem) for problem, _ in chunk]
    whole = [
        [*messages, {"role": "assistant", "content": solution}]
        for messages, (_, solution) in zip(prompts, chunk, strict=True)
    ]
    before = apply_template(tokenizer, prompts, add_generation_prompt=True)
    after = apply_template(tokenizer, whole)
    for row, (example, opening, chat) in enumerate(zip(chunk, before, after, strict=True), first):
        _check_response(row, example, opening, chat)
    before_ids = tokenizer(before, add_special_tokens=False)["input_ids"]
    after_ids = tokenizer(after, add_special_tokens=False)["input_ids"]
    for opening, full in zip(before_ids, after_ids, strict=True):
        common = _count_common(opening, full)
        yield full, full if everything else [-100] * common + full[common:]


def _count_common(one: Sequence[Any], other: Sequence[Any]) -> int:
    """Elements in which two sequences agree before they part."""
    for count, (a, b) in enumerate(zip(one, other, strict=False)):
        if a != b:
            return count
    return min(len(one), len(other))


def _check_response(row: int, example: tuple[str, str], opening: str, chat: str) -> None:
    """Refuse a chat whose template drops or rewrites part of the response (white space at its ends is its own).

    DeepSeek-R1's templates drop what stands before </think>, Qwen3's set its lines anew: the loss would fall on other
    tokens than the data has. A response may overlap the opening, where that ends in <think>.
    """
    problem, solution = example[0], example[1].strip()
    begin = len(opening) if chat.startswith(opening) else _count_common(opening, chat)
    if chat.find(solution, max(0, begin - len(solution))) < 0:
        raise InputError(
            f"row {row} ({problem[:40]!r}): the model's chat template does not keep the response {solution[:60]!r}…, "
            f"it writes {chat[begin:][:60]!r}…",
            "Take a model whose template keeps responses as they are (chat_template.jinja of a local folder), or "
            "bring the data into the form that the template writes.",
        )
