"""Is a text longer than so many tokens? Decided without tokenising more of it than the answer needs.

Three facts, each used only where the tokenizer's own description shows that it holds:

* A byte-level BPE gives every byte of the normalised text to exactly one token and merging only lowers the
  number of tokens, so a text of at most `limit` bytes has at most `limit` tokens. A text that NFC would
  change is counted whole.
* The splitting patterns of GPT-2, Llama 3, Qwen2 and their like never match across a place "letter, space,
  letter": a match that holds a letter holds no space after it, and none of them looks behind. So
  the tokens of a text cut before such a space are those of its pieces together, and counting may stop
  as soon as the pieces counted are over the limit, or the rest has too few bytes to bring them over it.
* A count without special tokens, padding and truncation does not depend on what else is in the batch.

Any other tokenizer counts whole texts. The answer is the same either way; a test holds the two together.
"""

from __future__ import annotations

import json
import os
import re
import sys
import unicodedata
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

CALL_CHARACTERS = 2**18
"""Text given to the tokenizer in one call: its encodings take some hundred bytes per token."""

PIECE = 2_048
"""Fewest characters worth a piece of their own."""

SAFE_PATTERNS = {
    # GPT-2
    r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
    # Qwen2
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
    r"|\s+(?!\S)|\s+",
    # Llama 3
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
    r"|\s+(?!\S)|\s+",
}
_CUT = re.compile(r"(?<=[A-Za-z])(?= [A-Za-z])")


@dataclass
class _Text:
    """A text that is not decided yet: the tokens counted, up to where, and the most tokens after that."""

    place: int
    text: str
    tokens: int = 0
    start: int = 0
    bytes_left: int = sys.maxsize
    is_whole: bool = True


class TokenLimit:
    """Says which texts have more than `limit` tokens; `threads` texts are tokenised at a time."""

    def __init__(self, tokenizer: Any, limit: int, threads: int = 1) -> None:
        self.limit = limit
        self.tokenizer = tokenizer
        self.fast = getattr(tokenizer, "backend_tokenizer", None)
        description = {}
        if self.fast is not None:
            self.fast.no_padding()
            self.fast.no_truncation()
            description = json.loads(self.fast.to_str())
        self.is_bounded = is_byte_level(description)
        self.is_cuttable = self.is_bounded and is_safe_to_cut(description)
        self.threads = ThreadPoolExecutor(threads)
        os.environ["TOKENIZERS_PARALLELISM"] = "false"  # our threads, as many as the site gives
        self.tokenised_characters = 0

    def exceeded(self, texts: Sequence[str]) -> list[bool]:
        """One answer per text."""
        over = [False] * len(texts)
        open_texts = [_Text(i, text) for i, text in enumerate(texts)]
        if self.is_bounded:
            for one in open_texts:
                if unicodedata.is_normalized("NFC", one.text):
                    one.bytes_left = len(one.text.encode())
                    one.is_whole = not self.is_cuttable
            open_texts = [one for one in open_texts if one.bytes_left > self.limit]
        while open_texts:
            pieces = [self._next_piece(one) for one in open_texts]
            for one, piece, count in zip(open_texts, pieces, self._count(pieces), strict=True):
                one.tokens += count
                one.start += len(piece)
                one.bytes_left -= len(piece) if piece.isascii() else len(piece.encode())
                over[one.place] = one.tokens > self.limit
            open_texts = [one for one in open_texts if not over[one.place] and self._is_open(one)]
        return over

    def _is_open(self, one: _Text) -> bool:
        """Whether the rest of a text could still bring it over the limit."""
        return one.start < len(one.text) and one.tokens + one.bytes_left > self.limit

    def _next_piece(self, one: _Text) -> str:
        """As much text as should decide: the rest that may stay uncounted has as many bytes as tokens are free.

        Counting x bytes of b tokens a byte leaves bytes_left - x, so x (1 - b) is what is over; b is taken
        from the text's own first pieces.
        """
        if one.is_whole:
            return one.text
        excess = one.tokens + one.bytes_left - self.limit
        share = one.tokens / one.start if one.start else 0.3
        size = max(PIECE, int(1.02 * excess / max(0.1, 1 - share)))
        cut = _CUT.search(one.text, one.start + size)
        return one.text[one.start : cut.start() if cut else len(one.text)]

    def _count(self, pieces: Sequence[str]) -> list[int]:
        self.tokenised_characters += sum(map(len, pieces))
        calls: list[list[str]] = []
        size = CALL_CHARACTERS
        for piece in pieces:
            if size >= CALL_CHARACTERS:
                calls.append([])
                size = 0
            calls[-1].append(piece)
            size += len(piece)
        return [count for counts in self.threads.map(self._count_call, calls) for count in counts]

    def _count_call(self, texts: list[str]) -> list[int]:
        if self.fast is None:
            return [len(ids) for ids in self.tokenizer(texts, add_special_tokens=False)["input_ids"]]
        return [len(one) for one in self.fast.encode_batch_fast(texts, add_special_tokens=False)]


def is_byte_level(description: dict[str, Any]) -> bool:
    """Whether tokens share out the text's bytes: a BPE over bytes, nothing added, at most NFC before."""
    model, normalizer = description.get("model") or {}, description.get("normalizer")
    return (
        model.get("type") == "BPE"
        and not model.get("continuing_subword_prefix")
        and not model.get("end_of_word_suffix")
        and _all_bytes(model.get("vocab") or {})
        and (normalizer is None or normalizer.get("type") == "NFC")
        and [step["type"] for step in _steps(description)].count("ByteLevel") == 1
        and not any(step.get("add_prefix_space") for step in _steps(description))
    )


def is_safe_to_cut(description: dict[str, Any]) -> bool:
    """Whether a cut before the space of "letter, space, letter" changes no token."""
    added = description.get("added_tokens") or []
    if any(" " in token["content"] or token["lstrip"] or token["rstrip"] for token in added):
        return False
    if any(token.get("single_word") or token.get("normalized") for token in added):
        return False
    *before, last = _steps(description)
    if last["type"] != "ByteLevel":
        return False
    if not before:
        return bool(last.get("use_regex"))
    return len(before) == 1 and not last.get("use_regex") and _is_safe_split(before[0])


def _is_safe_split(step: dict[str, Any]) -> bool:
    return (
        step["type"] == "Split"
        and (step.get("pattern") or {}).get("Regex") in SAFE_PATTERNS
        and step.get("behavior") == "Isolated"
        and not step.get("invert")
    )


def _steps(description: dict[str, Any]) -> list[dict[str, Any]]:
    """The pre-tokenizer's steps."""
    first = description.get("pre_tokenizer") or {"type": ""}
    return first["pretokenizers"] if first["type"] == "Sequence" else [first]


def _all_bytes(vocabulary: dict[str, int]) -> bool:
    """Whether each of the 256 bytes has a token, so that none becomes unknown (and is merged with others)."""
    from tokenizers.pre_tokenizers import ByteLevel

    return all(sign in vocabulary for sign in ByteLevel.alphabet())
