"""Problems as RL takes them: the prompts, gold answers and other columns of rows.parquet, and how long they get.

Refused: rows without id, problem or gold answer, too few problems for one round, prompts that fill the model's context.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
from datasets import Dataset

from pipeline.engines.policy.folder import apply_template, asks_for_today, render_prompt
from pipeline.engines.training.rounds import RoundSplit
from pipeline.errors import InputError
from pipeline.stages.rl import RlConfig


def read_problems(rows: Path, config: RlConfig, split: RoundSplit) -> Dataset:
    """The data set as TRL takes it: prompt (chat), answer and solution (both the gold), id, other columns."""
    if not rows.is_file():
        raise InputError(f"{rows}: there is no such file", "Make the data set first.")
    frame = pl.read_parquet(rows)
    if missing := [name for name in ("id", "problem", "answer") if name not in frame.columns]:
        raise InputError(f"{rows}: column {missing[0]} is missing", "RL needs id, problem and answer.")
    bare = frame.filter(
        pl.col("answer").is_null() | (pl.col("answer").cast(pl.String).str.strip_chars() == "")
    )
    if not bare.is_empty():
        raise InputError(
            f"{rows}: row {bare['id'][0]!r} has no gold answer ({bare.height} of {frame.height} rows have none)",
            "Filter such rows out: a reward could not judge them.",
        )
    if empty := frame["problem"].null_count():
        raise InputError(f"{rows}: {empty} of {frame.height} rows have no problem", "Filter such rows out.")
    distinct = frame["problem"].n_unique()
    if distinct < split.prompts:
        raise InputError(
            f"{rows}: {distinct} distinct problems, and one round of generation takes {split.prompts} "
            f"(prompts_per_step {config.prompts_per_step} x updates_per_generation {config.updates_per_generation})",
            "Use more data, or lower prompts_per_step.",
        )
    frame = frame.unique("problem", keep="first", maintain_order=True)
    reserved = (
        "prompt",
        "completion",
        "completions",
        "prompts",
        "completion_ids",
        "solution",
        "image",
        "images",
    )
    columns = {name: frame[name].to_list() for name in frame.columns if name not in reserved}
    prompts = [config.prompt.messages(problem) for problem in columns["problem"]]
    return Dataset.from_dict({"prompt": prompts, "solution": columns["answer"], **columns})


def render_prompts(problems: Dataset, tokenizer: Any, config: RlConfig) -> Dataset:
    """The same problems, their prompts written out as text where TRL would make another one of the chat."""
    if config.prompt.think_prefill == "as_template" and not asks_for_today(tokenizer):
        return problems
    return problems.map(_write_out, fn_kwargs={"tokenizer": tokenizer, "config": config})


def _write_out(row: dict[str, Any], tokenizer: Any, config: RlConfig) -> dict[str, str]:
    """The prompt as text, where it is not just what the chat template gives; TRL adds special tokens to a text."""
    text = render_prompt(tokenizer, config.prompt, row["prompt"])
    begin = tokenizer.bos_token
    if begin and tokenizer("")["input_ids"][:1] == [tokenizer.bos_token_id]:
        text = text.removeprefix(begin)
    return {"prompt": text}


def count_positions(problems: Dataset, tokenizer: Any, config: RlConfig, context: int) -> int:
    """Positions that a rollout may fill: the longest prompt as TRL makes it and a whole answer, within the context."""
    texts = [
        prompt if isinstance(prompt, str) else apply_template(tokenizer, prompt, add_generation_prompt=True)
        for prompt in problems["prompt"]
    ]
    lengths = [len(ids) for ids in tokenizer(texts)["input_ids"]]
    longest = max(lengths)
    if longest >= context:
        raise InputError(
            f"problem {problems['id'][lengths.index(longest)]!r}: its prompt has {longest} tokens and the model's "
            f"context {context}",
            "Filter such problems out, or use a model with a longer context.",
        )
    return min(longest + config.max_new_tokens, context)
