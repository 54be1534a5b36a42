"""Tokens of text without special tokens, fast where the text is ASCII and the tokenizer is of a known kind.

A byte-level BPE first splits text by a pattern and then merges inside each part alone, so the tokens of a
text are those of its parts, and a part's number of tokens can be remembered: most parts are words seen
before. For ASCII the known patterns are written here with Python's `re`; stretches with other characters or
with added tokens go through the tokenizer itself. Refused (`is_known`): every other kind of tokenizer.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

CALL_CHARACTERS = 2**18
"""Text given to the tokenizer in one call: its encodings take some hundred bytes per token."""

REMEMBERED = 2**20
"""Parts whose number of tokens is remembered."""

_ENDS = r"|\s*[\r\n]+|\s+(?!\S)|\s+"
_CONTRACTIONS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
PATTERNS = {
    # GPT-2
    r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+":
    r"'s|'t|'re|'ve|'m|'ll|'d| ?[A-Za-z]+| ?[0-9]+| ?[^\sA-Za-z0-9]+|\s+(?!\S)|\s+",
    # Qwen2
    _CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*" + _ENDS:
    _CONTRACTIONS + r"|[^\r\nA-Za-z0-9]?[A-Za-z]+|[0-9]| ?[^\sA-Za-z0-9]+[\r\n]*" + _ENDS,
    # Llama 3
    _CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*" + _ENDS:
    _CONTRACTIONS + r"|[^\r\nA-Za-z0-9]?[A-Za-z]+|[0-9]{1,3}| ?[^\sA-Za-z0-9]+[\r\n]*" + _ENDS,
}  # fmt: skip
"""The splitting patterns that are known, and what they are for ASCII text."""

CUT = re.compile(r"(?<=[A-Za-z])(?= [A-Za-z])")
"""A place between a letter and a space before a letter: no match of a known pattern goes across it."""

_UNUSUAL = re.compile(r"[^\t\n\r -~]+")
_SIGNS = {sign: chr(256 + sign) for sign in b"\t\n\r "}
"""How a byte-level vocabulary writes the white space of ASCII; the printable characters stand for themselves."""

_WINDOW = 256


class PartCounts(dict[str, int]):
    """Tokens of a part, asked of the BPE model once."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def __missing__(self, part: str) -> int:
        if len(self) >= REMEMBERED:
            self.clear()
        count = self[part] = len(self.model.tokenize(part.translate(_SIGNS)))
        return count


class TokenCounts:
    """Counts the tokens of texts; `cut_exactly` says whether pieces between CUTs may be counted by themselves."""

    def __init__(self, tokenizer: Any, description: dict[str, Any], threads: int = 1) -> None:
        self.tokenizer = tokenizer
        self.fast = getattr(tokenizer, "backend_tokenizer", None)
        self.threads = ThreadPoolExecutor(threads)
        pattern = known_pattern(description)
        self.cut_exactly = pattern is not None
        self._split = re.compile(PATTERNS[pattern], re.ASCII).findall if pattern else None
        self._parts = PartCounts(self.fast.model) if pattern else None
        added = [re.escape(token["content"]) for token in description.get("added_tokens") or []]
        self._added = re.compile("|".join(added)) if added else None

    def of_pieces(self, pieces: Sequence[str]) -> list[int]:
        """Tokens of pieces that begin and end at a CUT or an end of a text whose NFC is itself."""
        if self._split is None or self._parts is None:
            return self.of_texts(pieces)
        counts, odd, owners = [0] * len(pieces), list[str](), list[int]()
        for i, piece in enumerate(pieces):
            for is_odd, stretch in self._stretches(piece):
                if is_odd:
                    odd.append(stretch)
                    owners.append(i)
                else:
                    counts[i] += sum(map(self._parts.__getitem__, self._split(stretch)))
        for i, count in zip(owners, self.of_texts(odd), strict=True):
            counts[i] += count
        return counts

    def of_texts(self, texts: Sequence[str]) -> list[int]:
        """Tokens of whole texts, by the tokenizer itself."""
        calls: list[list[str]] = []
        size = CALL_CHARACTERS
        for text in texts:
            if size >= CALL_CHARACTERS:
                calls.append([])
                size = 0
            calls[-1].append(text)
            size += len(text)
        return [count for counts in self.threads.map(self._call, calls) for count in counts]

    def _call(self, texts: list[str]) -> list[int]:
        if self.fast is None:
            return [len(ids) for ids in self.tokenizer(texts, add_special_tokens=False)["input_ids"]]
        return [len(one) for one in self.fast.encode_batch_fast(texts, add_special_tokens=False)]

    def _stretches(self, piece: str) -> Iterator[tuple[bool, str]]:
        """(is for the tokenizer itself, text) of stretches between CUTs that make up the piece."""
        if self._added is not None and self._added.search(piece):
            yield True, piece
            return
        done = 0
        for unusual in _UNUSUAL.finditer(piece):
            if unusual.start() < done:
                continue
            begin = _last_cut(piece, done, unusual.start())
            after = CUT.search(piece, unusual.end())
            end = after.start() if after else len(piece)
            yield False, piece[done:begin]
            yield True, piece[begin:end]
            done = end
        yield False, piece[done:]


def _last_cut(text: str, start: int, end: int) -> int:
    """The last CUT between two places, or the first of them."""
    window = _WINDOW
    while True:
        low = max(start, end - window)
        found = [match.start() for match in CUT.finditer(text, low, end)]
        if found or low == start:
            return found[-1] if found else start
        window *= 4


def known_pattern(description: dict[str, Any]) -> str | None:
    """The splitting pattern of a byte-level BPE where it is one of PATTERNS and nothing else moves its cuts."""
    added = description.get("added_tokens") or []
    if any(" " in one["content"] or one["lstrip"] or one["rstrip"] for one in added):
        return None
    if any(one.get("single_word") for one in added) or not is_byte_level(description):
        return None
    *before, last = _steps(description)
    if last["type"] != "ByteLevel":
        return None
    if not before:
        return next(iter(PATTERNS)) if last.get("use_regex") else None
    if len(before) > 1 or last.get("use_regex"):
        return None
    (step,) = before
    pattern = (step.get("pattern") or {}).get("Regex")
    is_plain = step["type"] == "Split" and step.get("behavior") == "Isolated" and not step.get("invert")
    return pattern if is_plain and pattern in PATTERNS else None


def is_byte_level(description: dict[str, Any]) -> bool:
    """Whether tokens share out the text's bytes: a BPE over bytes, nothing added, at most NFC before."""
    model, normalizer = description.get("model") or {}, description.get("normalizer")
    return (
        model.get("type") == "BPE"
        and not model.get("continuing_subword_prefix")
        and not model.get("end_of_word_suffix")
        and not model.get("dropout")
        and _has_all_bytes(model.get("vocab") or {})
        and (normalizer is None or normalizer.get("type") == "NFC")
        and [step["type"] for step in _steps(description)].count("ByteLevel") == 1
        and not any(step.get("add_prefix_space") for step in _steps(description))
    )


def _steps(description: dict[str, Any]) -> list[dict[str, Any]]:
    """The pre-tokenizer's steps."""
    first = description.get("pre_tokenizer") or {"type": ""}
    return first["pretokenizers"] if first["type"] == "Sequence" else [first]


def _has_all_bytes(vocabulary: dict[str, int]) -> bool:
    """Whether each of the 256 bytes has a token, so that none becomes unknown and is merged with others."""
    from tokenizers.pre_tokenizers import ByteLevel

    return all(sign in vocabulary for sign in ByteLevel.alphabet())
