"""Tokens of text without special tokens, fast where the tokenizer is of a known kind.

A byte-level BPE first splits text by a pattern and then merges inside each part alone, so the tokens of a text
are those of its parts, and what is counted once can be remembered: most words were seen before. The known
patterns are translated to Python's `re`, which has no \\p{L} and \\p{N}, for the characters whose category never
changed (`usual_characters`); words with other characters or with added tokens go through the tokenizer
itself. Every other kind of tokenizer (`known_pattern`) counts whole texts.
"""

from __future__ import annotations

import functools
import math
import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

CALL_CHARACTERS = 2**18
"""Text given to the tokenizer in one call: its encodings take some hundred bytes per token."""

REMEMBERED = 2**20
"""Words, and parts of words, whose number of tokens is remembered."""

_ENDS = r"|\s*[\r\n]+|\s+(?!\S)|\s+"
_CONTRACTIONS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
PATTERNS = (
    # GPT-2
    r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
    # Qwen2
    _CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*" + _ENDS,
    # Llama 3
    _CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*" + _ENDS,
)  # fmt: skip
"""The splitting patterns that are known."""

CUT = re.compile(r"(?<=[A-Za-z])(?= [A-Za-z])")
"""A place between a letter and a space before a letter: no match of a known pattern goes across it."""

FIRST_BEYOND_ASCII = 0xA1
"""The first character after ASCII that is neither a control character nor white space."""

_FOLDED_TO_ASCII = "\N{LATIN SMALL LETTER LONG S}\N{KELVIN SIGN}"
"""A pattern that ignores case may take these for letters of ASCII."""


@dataclass(frozen=True)
class Usual:
    """Characters by category, as the inside of a character class; `solid` are all but white space."""

    letters: str
    numbers: str
    solid: str
    white: str = " \\t\\n\\r"


@functools.cache
def usual_characters() -> Usual:
    """ASCII's printable characters, and beyond ASCII those that have kept their category.

    A character has kept it where Unicode 3.2 and today's agree: so do the tokenizer's tables, which are of some
    version between. Never white space, control, unassigned or private characters.
    """
    old = unicodedata.ucd_3_2_0
    of_kind: dict[str, list[int]] = {kind: [] for kind in "LNMPS"}
    for code in range(FIRST_BEYOND_ASCII, 0x10000):
        sign = chr(code)
        category = unicodedata.category(sign)
        if category[0] in of_kind and category == old.category(sign) and sign not in _FOLDED_TO_ASCII:
            of_kind[category[0]].append(code)
    letters, numbers = "A-Za-z" + _ranges(of_kind["L"]), "0-9" + _ranges(of_kind["N"])
    return Usual(
        letters, numbers, "!-~" + _ranges(sorted(code for some in of_kind.values() for code in some))
    )


def _ranges(codes: Sequence[int]) -> str:
    """Ascending code points as the inside of a character class."""
    runs: list[list[int]] = []
    for code in codes:
        if runs and code == runs[-1][1] + 1:
            runs[-1][1] = code
        else:
            runs.append([code, code])
    return "".join(f"\\u{first:04x}-\\u{last:04x}" for first, last in runs)


def in_python(pattern: str) -> str:
    """A known pattern for `re` with re.ASCII; right for text of usual characters alone."""
    usual = usual_characters()
    both = usual.letters + usual.numbers
    inside = pattern.replace(r"\p{L}\p{N}]", both + "]")
    return inside.replace(r"\p{L}", f"[{usual.letters}]").replace(r"\p{N}", f"[{usual.numbers}]")


@functools.cache
def _byte_signs() -> dict[int, str]:
    """How a byte-level vocabulary writes each byte (GPT-2): printable Latin-1 stands for itself, the rest from 256."""
    shown = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    hidden = (byte for byte in range(256) if byte not in shown)
    return {byte: chr(256 + place) for place, byte in enumerate(hidden)}


class PretokenCounts(dict[str, int]):
    """Tokens of a pre-token (a part of text as the pattern splits it), asked of the BPE model once."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def __missing__(self, part: str) -> int:
        if len(self) >= REMEMBERED:
            self.clear()
        signs = part.encode().decode("latin-1").translate(_byte_signs())
        count = self[part] = len(self.model.tokenize(signs))
        return count


class WordCounts(dict[str, float]):
    """Tokens of a space and the word after it, up to the next space; NaN where they are not split by themselves.

    No match of a known pattern goes from a character other than white space across a space. So what lies between
    two such places has its own tokens, which are counted once.
    """

    def __init__(self, count: Callable[[str], int]) -> None:
        super().__init__()
        self._count = count
        solid = f"[{usual_characters().solid}]"
        self.is_closed = re.compile(f".*{solid}", re.DOTALL).fullmatch
        self.chunks = re.compile(f" *[^ ]+(?:(?<!{solid}) +[^ ]*)*| +").findall

    def __missing__(self, word: str) -> float:
        if len(self) >= REMEMBERED:
            self.clear()
        count = self[word] = self._count(f" {word}") if self.is_closed(word) else math.nan
        return count


class UsualCounts:
    """Tokens of texts whose NFC is themselves, by a known pattern."""

    def __init__(self, pattern: str, added: Sequence[str], model: Any, whole: Callable[[str], int]) -> None:
        self._split = re.compile(in_python(pattern), re.ASCII).findall
        self._parts = PretokenCounts(model)
        self._words = WordCounts(self._count)
        self._whole = whole
        usual = usual_characters()
        self._is_usual = re.compile(f"[{usual.white}{usual.solid}]*").fullmatch
        self._added = re.compile("|".join(map(re.escape, added)) or "(?!)").search

    def __call__(self, text: str) -> int:
        """Between spaces, which is several times as fast as the pattern; chunk by chunk where that is not exact."""
        first, *words = text.split(" ")
        if not words or not first or self._words.is_closed(first):
            count = sum(map(self._words.__getitem__, words), self._count(first))
            if not math.isnan(count):
                return int(count)
        first, *chunks = self._words.chunks(text)
        last = chunks.pop() if chunks else ""
        between = sum(self._words[chunk[1:]] for chunk in chunks)
        return self._count(first) + int(between) + self._count(last)

    def _count(self, text: str) -> int:
        if self._is_usual(text) and not self._added(text):
            return sum(map(self._parts.__getitem__, self._split(text)))
        return self._whole(text)


class TokenCounts:
    """Counts the tokens of texts; `cut_exactly` says whether pieces between CUTs may be counted by themselves."""

    def __init__(self, tokenizer: Any, description: dict[str, Any]) -> None:
        self.tokenizer = tokenizer
        self.fast = getattr(tokenizer, "backend_tokenizer", None)
        self._usual = None
        if self.fast is not None and (pattern := known_pattern(description)) is not None:
            added = [token["content"] for token in description.get("added_tokens") or []]
            self._usual = UsualCounts(pattern, added, self.fast.model, self._one)
        self.cut_exactly = self._usual is not None

    def of_pieces(self, pieces: Sequence[str]) -> list[int]:
        """Tokens of pieces that begin and end at a CUT or an end of a text whose NFC is itself."""
        return self.of_texts(pieces) if self._usual is None else [self._usual(piece) for piece in pieces]

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
        return [count for call in calls for count in self._call(call)]

    def _call(self, texts: list[str]) -> list[int]:
        if self.fast is None:
            return [len(ids) for ids in self.tokenizer(texts, add_special_tokens=False)["input_ids"]]
        return [len(one) for one in self.fast.encode_batch_fast(texts, add_special_tokens=False)]

    def _one(self, text: str) -> int:
        return self._call([text])[0]


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
        return PATTERNS[0] if last.get("use_regex") else None
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
