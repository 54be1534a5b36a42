"""Keep rows whose text is at most so many tokens long (P0: traces over 16,384 tokens go, FACTS 1.2).

Counted are the tokens of the column's text alone, without special tokens, prompt or end mark, by the
folder or hub name `tokenizer`, or else the tokenizer of the input policy (in a study file: `policy: NAME` of
`policies`, in the place of `tokenizer`). P0 does not say which it used.
The planner pins the tokenizer: a hub name by the lock file's commit (a model of `studyc pin`), a folder by
the digest of its content, wherever it lies. Refused: a hub name without a commit, a folder that has changed.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.errors import InputError, RefusedError
from pipeline.filters import FilterContext, judge_batches, judge_in_processes, need_text
from pipeline.fingerprint import Config, content

if TYPE_CHECKING:
    import polars as pl

DOC = "Keep rows whose text has at most `tokens` tokens."
MAIN = "tokens"

BY_DIGEST = "digest:"
"""How the planner writes a tokenizer that is a folder; the stage's placement says where it lies."""

UNPINNED = "unpinned"
"""What the planner writes for a name that the lock file lacks (pipeline.spec.lock)."""


class Params(Config):
    """The limit, the column and the tokenizer."""

    tokens: int = content(describe="Most tokens.", ge=1)
    column: str = content("solution", describe="Column that is measured.")
    tokenizer: str | None = content(
        None, describe="Folder or hub name of the tokenizer; the input policy's own when absent."
    )
    revision: str | None = content(
        None, describe="Commit of the tokenizer's repository; the lock file's when absent."
    )


def judge(rows: pl.LazyFrame, params: Params, context: FilterContext) -> pl.DataFrame:
    """Drop longer texts and rows without one."""
    need_text(rows, params.column, "max_tokens")
    tokenizer = _load(params, context)
    fast = getattr(tokenizer, "backend_tokenizer", None)
    if fast is None:
        return judge_batches(rows, (params.column,), make_judge(params, None, tokenizer), context)
    return judge_in_processes(rows, (params.column,), make_judge, (params, fast.to_str(), None), context)


def make_judge(params: Params, fast: str | None, slow: Any) -> Callable[[pl.DataFrame], list[str | None]]:
    """The judge of batches, from the text of a fast tokenizer or from a slow one."""
    from pipeline.filters._token_limit import TokenLimit, from_text

    limit = TokenLimit(from_text(fast) if fast is not None else slow, params.tokens)
    over, none = f"over {params.tokens} tokens", f"no {params.column}"

    def reasons(batch: pl.DataFrame) -> list[str | None]:
        texts = batch[params.column].to_list()
        exceeded = limit.exceeded([text or "" for text in texts])
        return [
            none if text is None else over if is_over else None
            for text, is_over in zip(texts, exceeded, strict=True)
        ]

    return reasons


def _load(params: Params, context: FilterContext) -> Any:
    name = params.tokenizer or context.tokenizer
    if name is None:
        raise InputError(
            "filter max_tokens: there is no tokenizer to count with",
            "Name one: {max_tokens: {tokens: …, tokenizer: FOLDER or HUB NAME}}, or count with max_chars.",
        )
    if str(name).startswith(BY_DIGEST):
        name = Path(context.folders[str(name).removeprefix(BY_DIGEST)])
    elif params.revision in (None, UNPINNED) and not Path(name).is_dir():
        raise RefusedError(
            f"filter max_tokens: tokenizer {str(name)!r} is no folder and not pinned to a commit",
            "Pin it with `studyc pin`, or name a folder with tokenizer.json.",
        )
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(
            name, revision=params.revision or "main", trust_remote_code=False
        )
    except (OSError, ValueError) as error:
        raise InputError(
            f"filter max_tokens: tokenizer {str(name)!r} cannot be loaded: {str(error).splitlines()[0]}",
            "Give a folder with tokenizer.json, or a name whose files are in the hub's cache.",
        ) from error
