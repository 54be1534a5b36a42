"""A token-classification model that says of every token whether it is kept (LLMLingua-2, arXiv:2403.12968).

Guaranteed: weights from safetensors only, no code of the folder runs, nothing is fetched; text of any length
(pieces of at most 512 tokens that end at a sentence or line where they can).
Refused: a folder that cannot be loaded, a model without two labels, a tokenizer without offsets.
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from pipeline.engines.policy.folder import check_policy_folder, load_tokenizer, load_weights
from pipeline.errors import InputError

PIECE_TOKENS = 512
"""Tokens that LLMLingua-2 was trained on, special ones included."""

KEEP = 1
"""The label that means: keep."""


@dataclass(frozen=True)
class Word:
    """A word of a text: its characters, tokens, mean probability of being kept, and the piece it was rated in."""

    text: str
    after_space: bool
    tokens: int
    probability: float
    piece: int


@dataclass(frozen=True)
class _Piece:
    """Consecutive tokens of one text."""

    text: int
    ids: list[int]
    spans: list[tuple[int, int]]


class Compressor:
    """The model in memory; `rate` any number of texts."""

    def __init__(self, folder: Path, *, precision: str, gpus: int, batch_size: int) -> None:
        if gpus and not torch.cuda.is_available():
            raise InputError(
                "a GPU is asked for and this machine shows none", "Set gpus: 0, or run on a GPU node."
            )
        self.device = "cuda" if gpus else "cpu"
        self.batch_size = batch_size
        self.model, self.tokenizer = load_classifier(folder, precision, self.device)
        special = (self.tokenizer.cls_token_id, self.tokenizer.sep_token_id, self.tokenizer.pad_token_id)
        if None in special:
            raise InputError(
                f"{folder}: the tokenizer lacks a cls, sep or pad token", "Take an encoder's tokenizer."
            )
        self._first, self._last, self._pad = special
        positions = getattr(self.model.config, "max_position_embeddings", PIECE_TOKENS)
        is_offset = "roberta" in self.model.config.model_type  # positions there begin after the pad id
        self.piece_tokens = min(PIECE_TOKENS, positions - (self._pad + 1 if is_offset else 0)) - 2

    def count_tokens(self, text: str) -> int:
        """Tokens of a text in the compressor's tokenizer, without special ones."""
        return len(self._encode(text)["input_ids"])

    def rate(self, texts: Sequence[str]) -> list[list[Word]]:
        """The words of every text with their mean probability of being kept."""
        pieces = [piece for index, text in enumerate(texts) for piece in self._cut(index, text)]
        order = sorted(range(len(pieces)), key=lambda i: len(pieces[i].ids))
        found: dict[int, list[float]] = {}
        for start in range(0, len(order), self.batch_size):
            batch = order[start : start + self.batch_size]
            found.update(zip(batch, self._forward([pieces[i].ids for i in batch]), strict=True))
        words: list[list[Word]] = [[] for _ in texts]
        for number, piece in enumerate(pieces):
            words[piece.text] += merge_words(texts[piece.text], piece.spans, found[number], number)
        return words

    def _encode(self, text: str) -> Any:
        return self.tokenizer(text, add_special_tokens=False, return_offsets_mapping=True, verbose=False)

    def _cut(self, index: int, text: str) -> Iterator[_Piece]:
        encoded = self._encode(text)
        ids, spans = encoded["input_ids"], [tuple(span) for span in encoded["offset_mapping"]]
        start = 0
        while start < len(ids):
            end = min(start + self.piece_tokens, len(ids))
            if end < len(ids):
                end = _last_end(text, spans, start, end)
            yield _Piece(index, ids[start:end], spans[start:end])
            start = end

    @torch.inference_mode()
    def _forward(self, batch: Sequence[list[int]]) -> list[list[float]]:
        width = max(map(len, batch)) + 2
        rows = [[self._first, *ids, self._last] for ids in batch]
        ids = torch.tensor([row + [self._pad] * (width - len(row)) for row in rows], device=self.device)
        mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in rows], device=self.device)
        logits = self.model(input_ids=ids, attention_mask=mask).logits.float()
        kept = logits.softmax(-1)[..., KEEP].tolist()
        return [kept[i][1 : 1 + len(batch[i])] for i in range(len(batch))]


def load_classifier(folder: Path, precision: str, device: str) -> tuple[Any, Any]:
    """(token-classification model in eval mode, fast tokenizer) of a model folder; InputError otherwise."""
    check_policy_folder(folder)
    tokenizer = load_tokenizer(folder, is_classifier=True)
    model, loaded = load_weights("AutoModelForTokenClassification", folder, precision)
    missing = sorted(loaded.get("missing_keys", ()))
    if missing or model.config.num_labels != 2:
        what = f"weights are missing, first {missing[0]}" if missing else f"{model.config.num_labels} labels"
        raise InputError(
            f"{folder}: not a compressor ({what})",
            "Take a token-classification model of two labels: drop and keep.",
        )
    if not tokenizer.is_fast:
        raise InputError(f"{folder}: the tokenizer gives no offsets", "The folder needs tokenizer.json.")
    return model.to(device).eval(), tokenizer


def _last_end(text: str, spans: Sequence[tuple[int, int]], start: int, end: int) -> int:
    """Where a full piece ends best: after its last full stop or line, else where it is full."""
    for at in range(end - 1, start, -1):
        begin, stop = spans[at]
        following = text[stop : spans[at + 1][1]]
        if text[begin:stop].strip() == "." or "\n" in following[: len(following) - len(following.lstrip())]:
            return at + 1
    return end


def merge_words(
    text: str, spans: Sequence[tuple[int, int]], probabilities: Sequence[float], piece: int
) -> list[Word]:
    """Tokens of one piece joined into words.

    A word begins after white space; a single punctuation mark also begins one, and what follows it without
    a space belongs to it (LLMLingua-2's rule for XLM-RoBERTa).
    """
    groups: list[tuple[int, int, list[float]]] = []
    following = [start for start, _ in spans[1:]] + [len(text)]
    for (start, end), limit, probability in zip(spans, following, probabilities, strict=True):
        piece_of_text = text[start : min(end, limit)]  # one character may have several tokens
        bare = piece_of_text.strip()
        begin = start + len(piece_of_text) - len(piece_of_text.lstrip())
        after_space = begin == 0 or text[begin - 1].isspace()
        is_mark = len(bare) == 1 and bare in string.punctuation
        begins = not groups or is_mark or (after_space and groups[-1][0] < groups[-1][1])
        if begins:
            groups.append((begin, begin + len(bare), [probability]))
        else:
            first = groups[-1][0] if groups[-1][0] < groups[-1][1] else begin
            groups[-1] = (first, max(begin + len(bare), groups[-1][1]), [*groups[-1][2], probability])
    return [
        Word(
            text[start:end],
            start == 0 or text[start - 1].isspace(),
            len(rated),
            sum(rated) / len(rated),
            piece,
        )
        for start, end, rated in groups
        if start < end
    ]


def force(words: Sequence[Word], force_words: Sequence[str], *, digits: bool) -> list[Word]:
    """The words with probability 1 where they must stay."""
    return [
        replace(word, probability=1.0)
        if any(forced in word.text for forced in force_words) or (digits and re.search(r"\d", word.text))
        else word
        for word in words
    ]


def keep_words(words: Sequence[Word], rate: float, force_words: Sequence[str] = ()) -> list[Word]:
    """The words above the quantile of a keep rate, piece by piece, in order.

    As in LLMLingua-2 the quantile is the percentile ⌊100·(1 − rate) + 1⌋ of the words' probabilities, each
    counted once per token. A forced word directly after an equal one goes.
    """
    import numpy as np

    percent = int(100 * (1 - rate) + 1)
    thresholds = {}
    for piece in {word.piece for word in words}:
        weighted = [word.probability for word in words if word.piece == piece for _ in range(word.tokens)]
        thresholds[piece] = float(np.percentile(weighted, percent))
    kept: list[Word] = []
    for word in words:
        threshold = thresholds[word.piece]
        if word.probability > threshold or word.probability == threshold == 1.0:
            is_repeated = bool(kept) and word.text == kept[-1].text and word.text in force_words
            if not is_repeated:
                kept.append(word)
    return kept


def join_words(words: Sequence[Word]) -> str:
    """The text of words: a space where there was white space before, none elsewhere."""
    return "".join((" " if word.after_space else "") + word.text for word in words).strip()
