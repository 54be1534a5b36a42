"""Is a text longer than so many tokens? Decided without counting more of it than the answer needs.

Two facts, each used only where the tokenizer's own description shows that it holds (_token_counts):

* A byte-level BPE gives every byte of the normalised text to exactly one token and merging only lowers the
  number of tokens, so text of n bytes has at most n tokens. A text that NFC would change is counted whole.
* The splitting patterns of GPT-2, Llama 3 and Qwen2 never match across a place "letter, space, letter": a
  match that holds a letter holds no space after it, and none of them looks behind. So the tokens of
  a text cut before such a space are those of its pieces together, and counting may stop as soon as the
  pieces counted are over the limit, or the rest has too few bytes to bring them over it.

Any other tokenizer counts whole texts. The answer is the same either way; a test holds the two together.
"""

from __future__ import annotations

import json
import os
import sys
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from pipeline.filters._token_counts import CUT, TokenCounts, is_byte_level

PIECE = 2_048
"""Fewest characters worth a piece of their own."""


@dataclass
class _Text:
    """A text that is not decided yet: the tokens counted, up to where, and the most tokens after that."""

    place: int
    text: str
    tokens: int = 0
    start: int = 0
    bytes_left: int = sys.maxsize
    is_whole: bool = True


def from_text(description: str) -> Any:
    """What TokenLimit needs of a fast tokenizer, from its own description: any process can make it."""
    from tokenizers import Tokenizer

    return SimpleNamespace(backend_tokenizer=Tokenizer.from_str(description))


class TokenLimit:
    """Says which texts have more than `limit` tokens."""

    def __init__(self, tokenizer: Any, limit: int) -> None:
        os.environ["TOKENIZERS_PARALLELISM"] = "false"  # our processes, as many as the site gives
        self.limit = limit
        description = {}
        if (fast := getattr(tokenizer, "backend_tokenizer", None)) is not None:
            fast.no_padding()
            fast.no_truncation()
            description = json.loads(fast.to_str())
        self.counts = TokenCounts(tokenizer, description)
        self.is_bounded = bool(description) and is_byte_level(description)

    def exceeded(self, texts: Sequence[str]) -> list[bool]:
        """One answer per text."""
        over = [False] * len(texts)
        open_texts = [_Text(i, text) for i, text in enumerate(texts)]
        if self.is_bounded:
            for one in open_texts:
                if unicodedata.is_normalized("NFC", one.text):
                    one.bytes_left = len(one.text.encode())
                    one.is_whole = not self.counts.cut_exactly
            open_texts = [one for one in open_texts if one.bytes_left > self.limit]
        while open_texts:
            pieces = [self._next_piece(one) for one in open_texts]
            for one, piece, count in zip(open_texts, pieces, self._count(open_texts, pieces), strict=True):
                one.tokens += count
                one.start += len(piece)
                one.bytes_left -= len(piece.encode())
                over[one.place] = one.tokens > self.limit
            open_texts = [one for one in open_texts if not over[one.place] and self._is_open(one)]
        return over

    def _count(self, texts: Sequence[_Text], pieces: Sequence[str]) -> list[int]:
        whole = [piece for one, piece in zip(texts, pieces, strict=True) if one.is_whole]
        parts = [piece for one, piece in zip(texts, pieces, strict=True) if not one.is_whole]
        of_whole, of_parts = iter(self.counts.of_texts(whole)), iter(self.counts.of_pieces(parts))
        return [next(of_whole) if one.is_whole else next(of_parts) for one in texts]

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
        cut = CUT.search(one.text, one.start + size)
        return one.text[one.start : cut.start() if cut else len(one.text)]
