r"""Which kind of answer a text is.

In this order, the first that fits the whole text: empty set, date, time, numeral with a base, number, number written as a word,
move at chess, option, order of letters, words, set by a condition, quantities (numbers with words and units), list, run of numbers side by side,
phrase (a number that its words change: at least 20), and else algebra.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from pipeline.answers.notation import (
    Date,
    Letters,
    Move,
    Numeral,
    Option,
    Time,
    Words,
    read_date,
    read_letters,
    read_move,
    read_number_word,
    read_numeral,
    read_option,
    read_time,
    read_words,
)
from pipeline.answers.numbers import Number, read_number
from pipeline.answers.quantities import CHANGING, Quantities, read_quantities
from pipeline.answers.signs import strip_enclosure, strip_layout, take_text

CHARACTERS = 400
"""A longer text is algebra, unread."""

_EMPTY = re.compile(r"\\emptyset|\{ ?\}|\\\{ ?\\\}")
_DEGREES = re.compile(r"\^ ?(?:\{ ?\\circ ?\}|\\circ(?![A-Za-z]))\s*\Z")
_ORDINAL = re.compile(r"(?<=\d)(?: ?\^ ?\{? ?)?(?:\\text\{)? ?(?:st|nd|rd|th) ?\}*\Z")
_AND = re.compile(r" ?,? ?(?:\\text\{ ?,? ?(?:and|or) ?\}|(?<![A-Za-z\\])(?:and|or)(?![A-Za-z])) ?")
_GROUPS = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
_NUMERAL = r"-?(?:\d+(?:\.\d+)?(?:/\d+)?|\\frac(?:\{\d+\}\{\d+\}|\d\d))"
_SET = re.compile(
    r"\\?\{ ?(([A-Za-z])|[^|:{}]{1,40}) ?(?:\||\\mid(?![A-Za-z])|\\vert(?![A-Za-z])|:) ?(.+?) ?\\?\}"
)
_INEQUALITY = re.compile(r"[<>]|\\[lg]eq")
_BLACKBOARD = re.compile(r"\\mathbb ?\{? ?([A-Z]) ?\}?")
_RUN = re.compile(rf"{_NUMERAL}(?: {_NUMERAL})+")
_RAW_LETTERS = re.compile(r"(?<![A-Za-z\\])[A-Za-z]{1,2}(?![A-Za-z])")


@dataclass(frozen=True)
class Empty:
    """The empty set."""


@dataclass(frozen=True)
class Listing:
    r"""Parts in brackets, or in none; `kind` is "(", "[" (or a mixture of both), "{" for a set, "" for none, " " for a run."""

    kind: str
    parts: tuple[str, ...]
    is_joined: bool = False


@dataclass(frozen=True)
class SetOf:
    r"""A set by a condition, \{x \mid -2 < x\}: its text without spaces, and the condition where it is an inequality."""

    text: str
    inequality: str | None


@dataclass(frozen=True)
class Phrase:
    """Words around a number that they change."""

    text: str


@dataclass(frozen=True)
class Algebra:
    """Everything else; the text as it came."""

    text: str


Reading = (
    Empty
    | Date
    | Time
    | Numeral
    | Number
    | Move
    | Option
    | Letters
    | Words
    | Listing
    | SetOf
    | Quantities
    | Phrase
    | Algebra
)


@lru_cache(maxsize=4096)
def read_answer(text: str) -> Reading:
    """The kind of answer that the whole text is."""
    if len(text) > CHARACTERS:
        return Algebra(text)
    plain = strip_layout(text)
    if _EMPTY.fullmatch(plain):
        return Empty()
    flat = take_text(plain)
    known = (
        read_date(flat) or read_time(flat) or read_numeral(flat) or read_numeral(plain.replace(r"\text", ""))
    )
    if known is not None:
        return known
    if (number := _read_number(plain, flat)) is not None:
        return number
    is_text = not re.search("[A-Za-z]", re.sub(r"\\text\{[^{}]*\}", "", plain))
    notation = read_move(flat) or read_option(flat) or read_letters(flat) or read_words(flat, is_text=is_text)
    if notation is not None:
        return Empty() if isinstance(notation, Words) and notation.text == "empty set" else notation
    if (condition := _read_set(plain)) is not None:
        return condition
    quantities = read_quantities(plain)
    if quantities is not None and all(
        isinstance(read_answer(one), Number | Time) for one in quantities.numbers
    ):
        return quantities
    listing = _read_listing(plain)
    if listing is not None or quantities is not None:
        return listing or quantities or Algebra(text)
    return Phrase(" ".join(flat.split()).casefold()) if _is_phrase(plain, flat) else Algebra(text)


def _read_number(plain: str, flat: str) -> Number | None:
    for text in dict.fromkeys((plain, flat)):
        bare = _ORDINAL.sub("", _DEGREES.sub("", strip_enclosure(text)))
        number = read_number(bare) or read_number(read_number_word(bare) or "")
        if number is not None:
            return number
    return None


def _read_listing(plain: str) -> Listing | None:
    """Parts at the top level between commas, semicolons, and, or; numbers side by side."""
    if _RUN.fullmatch(bare := plain[1:-1].strip() if plain[:1] + plain[-1:] in ("()", "[]") else plain):
        return Listing(" ", tuple(bare.split()))
    kind, inner = "", plain
    if plain[:2] == r"\{" and plain[-2:] == r"\}" and _is_closed(plain[2:-2]):
        kind, inner = "{", plain[2:-2]
    elif plain[:1] == "{" and plain[-1:] == "}" and _is_closed(plain[1:-1]):
        kind, inner = "{", plain[1:-1]
    elif plain[:1] in "([" and plain[-1:] in ")]" and len(plain) > 2 and _is_closed(plain[1:-1]):
        kind, inner = plain[0] + plain[-1], plain[1:-1]
        kind = {"()": "(", "[]": "["}.get(kind, kind)
    joined = _AND.sub(", ", inner) if not kind else inner
    if not kind and "," in inner and _GROUPS.search(inner) and re.search(r",(?:\s|\\)", joined):
        joined = _GROUPS.sub("", joined)
    parts = _split(joined)
    if parts is None or (len(parts) < 2 and kind != "{") or not all(parts):
        return None
    return Listing(kind, tuple(parts), joined != inner)


def _read_set(plain: str) -> SetOf | None:
    found = _SET.fullmatch(plain)
    if not found or not _is_closed(found[3]):
        return None
    condition = _BLACKBOARD.sub(r"\1", take_text(found[3]))
    text = "".join(f"{found[1]}|{condition}".split())
    is_inequality = (
        bool(found[2])
        and re.search(r"[<>]|\\[lg]eq", found[3])
        and not re.search(r"[,;=]|\\in|\\text", found[3])
    )
    return SetOf(text, found[3].strip() if is_inequality else None)


def _is_closed(inner: str) -> bool:
    """Whether the brackets of a text close only what it opened."""
    depth = 0
    for sign in inner:
        depth += (sign in "([{") - (sign in ")]}")
        if depth < 0:
            return False
    return depth == 0


def _split(text: str) -> list[str] | None:
    if r"\begin" in text or "|" in text or r"\mid" in text:
        return None
    parts, depth, start = [], 0, 0
    for position, sign in enumerate(text):
        depth += (sign in "([{") - (sign in ")]}")
        if depth == 0 and sign in ",;" and text[position - 1 : position] != "\\":
            parts.append(text[start:position].strip())
            start = position + 1
    if depth:
        return None
    parts.append(text[start:].strip())
    return parts if parts[-1] else parts[:-1]


def _is_phrase(plain: str, flat: str) -> bool:
    words = set(re.findall(r"[a-z']+", flat.casefold())) & CHANGING
    if not words or not any(map(str.isdigit, flat)) or re.search(r"[=<>]", flat):
        return False
    outside = re.sub(r"\\text\{[^{}]*\}", " ", plain)
    is_raw = _RAW_LETTERS.search(
        re.sub(r"(?<![A-Za-z])(?:to|or|of|a|is|an|by|at|in|no)(?![A-Za-z])", "", outside)
    )
    return not is_raw and not re.search(r"\\[A-Za-z]", outside)
