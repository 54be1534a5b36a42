r"""Answers that are no algebra: times, dates, numerals with a base, options, words, orders of letters, moves at chess.

Each reader takes a text without layout (`signs.strip_layout`) and with \text{…} written out (`signs.take_text`), and gives
the thing it says, or None. Things of one kind are compared as what they are:

- a time by hour, minute and second; a clock face without a.m. or p.m. agrees with either half of the day, 15:45 is
  3:45 p.m.; without them on either side only the same face agrees; 5 p.m. agrees with the number 5;
- a date by year, month and day; 3/4/2024 is month first, unless there is no such month;
- numerals that both name a base by value (1011_2 is 13_8); where only one names it, by their digits alone;
- an option by its letter, (B) as B; its text counts where both have one;
- words without case, hyphens, leading article, and final period; never as a product of letters;
- an order of capital letters by the order (C, A, B; CAB);
- a move at chess sign by sign, but for +, # and !.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_CLOCK = re.compile(
    r"(?:at )?(\d{1,2}) ?: ?(\d{2})(?: ?: ?(\d{2}))?(?: ?([AaPp])\.? ?[Mm]\b\.?| ?(?:hours|hrs|o'clock))?"
)
_HOUR = re.compile(r"(?:at )?(\d{1,2}) ?([AaPp])\.? ?[Mm]\b\.?")
_NOON = {"noon": (12, 0, 0), "12 noon": (12, 0, 0), "midnight": (0, 0, 0), "12 midnight": (0, 0, 0),
         "12:00 noon": (12, 0, 0), "12:00 midnight": (0, 0, 0)}  # fmt: skip
_MONTHS = ("january", "february", "march", "april", "may", "june", "july", "august", "september", "october",
           "november", "december")  # fmt: skip
_MONTH = "|".join(sorted([*_MONTHS, *(month[:3] for month in _MONTHS), "sept"], key=len, reverse=True))
_WEEKDAY = r"(?:(?:mon|tues|wednes|thurs|fri|satur|sun)day,? )?"
_YEAR_FIRST = re.compile(r"(\d{4})([-/.])(\d{1,2})\2(\d{1,2})")
_YEAR_LAST = re.compile(r"(\d{1,2})([-/.])(\d{1,2})\2(\d{4})")
_MONTH_DAY = re.compile(
    rf"{_WEEKDAY}({_MONTH})\.? (\d{{1,2}})(?:st|nd|rd|th)?(?:,? (\d{{4}}))?", re.IGNORECASE
)
_DAY_MONTH = re.compile(
    rf"{_WEEKDAY}(?:the )?(\d{{1,2}})(?:st|nd|rd|th)?(?: of)? ({_MONTH})\.?(?:,? (\d{{4}}))?", re.IGNORECASE
)
_BASED = re.compile(r"\(?(-?[0-9A-Za-z]+)\)? ?_ ?(?:\{ ?(\w+) ?\}|(\d))")
_BASE_NAMES = {"two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10,
               "twelve": 12, "sixteen": 16}  # fmt: skip
_OPTION = re.compile(
    r"(?:(?:the )?(?:correct )?(?:option|choice|answer)(?: is)? )?\(? ?([A-Za-z]) ?(\))?\.?", re.IGNORECASE
)
_OPTION_AND_TEXT = re.compile(
    r"(?:(?:option|choice|answer) )?(?:\( ?([A-J]) ?\) ?[:.]?|([A-J])(?:\)|[.:] )) ?(\S.*)", re.DOTALL
)
_LETTERS = re.compile(r"[A-Z](?: ?(?:,|-|\\to(?![A-Za-z])|->| and |, and ) ?[A-Z])+|[A-Z](?: [A-Z]){2,}")
_MOVE = r"(?:O-O-O|O-O|[KQRBN][a-h]?[1-8]?x?[a-h][1-8]|[a-h]x[a-h][1-8](?:=[QRBN])?|[a-h][1-8]=[QRBN])[+#!?]*"
_SQUARE = r"[a-h][1-8]"
_CHESS = re.compile(rf"(?:\d+\. ?(?:\.\.)? ?)?{_MOVE}")
_MOVES = re.compile(rf"1\. ?(?:{_MOVE}|{_SQUARE})(?:,? (?:\d+\. ?)?(?:{_MOVE}|{_SQUARE}))+")
_WORDS = re.compile(r"[A-Za-z][A-Za-z'.,-]*(?: [A-Za-z][A-Za-z'.,-]*)*")
_SMALL_WORDS = {"a", "an", "as", "at", "be", "by", "do", "if", "in", "is", "it", "no", "of", "on", "or", "so", "to", "up", "we",
                "I", "ok"}  # fmt: skip
_NAMES_OF_ALGEBRA = {
    "sin", "cos", "tan", "cot", "sec", "csc", "arcsin", "arccos", "arctan", "sinh", "cosh", "tanh", "log", "exp", "lim", "sqrt",
    "frac", "dfrac", "max", "min", "gcd", "lcm", "mod", "det", "pi", "theta", "alpha", "beta", "gamma", "lambda", "omega", "phi",
    "infinity", "inf", "infty", "oo", "binom", "cup", "cap", "leq", "geq", "pmatrix", "begin", "end",
}  # fmt: skip
_WORD_NAMES = {"does not exist": "dne", "true": "true", "doesn't exist": "dne", "empty set": "empty set"}
_NUMBER_WORDS = dict(
    zip(
        (
            "zero",
            "one",
            "two",
            "three",
            "four",
            "five",
            "six",
            "seven",
            "eight",
            "nine",
            "ten",
            "eleven",
            "twelve",
        ),
        map(str, range(13)),
        strict=True,
    )
)


@dataclass(frozen=True)
class Time:
    """A time of day; `half` is a or p, or None where the text names no half of the day."""

    hour: int
    minute: int
    second: int
    half: str | None

    @property
    def is_full_hour(self) -> bool:
        """Whether a number can say it: 5:00 p.m. is 5 to those who label answers with numbers."""
        return self.half in ("a", "p") and self.minute == self.second == 0


@dataclass(frozen=True)
class Date:
    """A date; the year may be missing."""

    year: int | None
    month: int
    day: int


@dataclass(frozen=True)
class Numeral:
    """Digits with the base that they name."""

    digits: str
    base: int

    @property
    def value(self) -> int:
        """The number that it is."""
        return int(self.digits, self.base)


@dataclass(frozen=True)
class Option:
    """The letter of a choice and, where there is one, the text of the choice."""

    letter: str
    text: str | None = None
    is_bare: bool = False


@dataclass(frozen=True)
class Words:
    """Words, and nothing else; `is_list` where and/or joins them, so that their order says nothing."""

    text: str
    is_list: bool = False


@dataclass(frozen=True)
class Letters:
    """Capital letters in an order."""

    text: str


@dataclass(frozen=True)
class Move:
    """A move at chess, or a square of the board (which may be a product: `is_certain` says)."""

    text: str
    is_certain: bool = True


def read_time(text: str) -> Time | None:
    """3:45 p.m., 15:45, 4:51:06, 3 pm, noon."""
    if (named := _NOON.get(text.lower())) is not None:
        return Time(*named, "24")
    if found := _CLOCK.fullmatch(text):
        hour, minute, second, half = int(found[1]), int(found[2]), int(found[3] or 0), found[4]
    elif found := _HOUR.fullmatch(text):
        hour, minute, second, half = int(found[1]), 0, 0, found[2]
    else:
        return None
    if minute > 59 or second > 59 or hour > (12 if half else 24):
        return None
    return Time(hour, minute, second, half.lower() if half else None)


def is_same_time(one: Time, other: Time) -> bool:
    """Whether two times are one, as the module says."""
    if (one.minute, one.second) != (other.minute, other.second):
        return False
    if one.half is None and other.half is None:
        return one.hour == other.hour
    hours, others = _hours(one), _hours(other)
    return bool(hours & others)


def _hours(time: Time) -> set[int]:
    if time.half in ("a", "p"):
        return {time.hour % 12 + (12 if time.half == "p" else 0)}
    if time.half == "24" or not 1 <= time.hour <= 12:
        return {time.hour % 24}
    return {time.hour % 12, time.hour % 12 + 12}


def read_date(text: str) -> Date | None:
    """2024-01-02, 1/2/2024, January 2, 2024, 2 Jan 2024, May 5."""
    if found := _YEAR_FIRST.fullmatch(text):
        year, month, day = int(found[1]), int(found[3]), int(found[4])
    elif found := _YEAR_LAST.fullmatch(text):
        year, month, day = int(found[4]), int(found[1]), int(found[3])
        if month > 12 or found[2] == ".":
            month, day = day, month
    elif found := _MONTH_DAY.fullmatch(text):
        year, month, day = int(found[3] or 0), _month(found[1]), int(found[2])
    elif found := _DAY_MONTH.fullmatch(text):
        year, month, day = int(found[3] or 0), _month(found[2]), int(found[1])
    else:
        return None
    return Date(year or None, month, day) if 1 <= month <= 12 and 1 <= day <= 31 else None


def _month(name: str) -> int:
    return 1 + [month[:3] for month in _MONTHS].index(name[:3].lower())


def is_same_date(one: Date, other: Date) -> bool:
    """Whether two dates are one; the year counts where both have it."""
    years = {one.year, other.year} - {None}
    return (one.month, one.day) == (other.month, other.day) and len(years) < 2


def read_numeral(text: str) -> Numeral | None:
    """1011_2, (1011)_{2}, 2A_{16}, 4210_{five}; None where a digit does not exist in the base."""
    found = _BASED.fullmatch(text)
    if not found or not any(character.isdigit() for character in found[1]):
        return None
    name = (found[2] or found[3]).lower()
    base = int(name) if name.isdigit() and len(name) < 3 else _BASE_NAMES.get(name, 0)
    if not 2 <= base <= 36:
        return None
    numeral = Numeral(found[1].upper().lstrip("0") or "0", base)
    try:
        int(numeral.digits, base)
    except ValueError:
        return None
    return numeral


def read_option(text: str) -> Option | None:
    """(B), B, (b), Option B, (B) 12, B. 12; a small letter only in parentheses."""
    if (found := _OPTION.fullmatch(text)) and bool(found[2]) == ("(" in text):
        letter = found[1]
        if letter.isupper() or "(" in text:
            return Option(letter.upper(), None, len(text) == 1)
    if found := _OPTION_AND_TEXT.fullmatch(text):
        return Option(found[1] or found[2], found[3])
    return None


def read_letters(text: str) -> Letters | None:
    """Capital letters in an order: C, A, B."""
    if not _LETTERS.fullmatch(text):
        return None
    return Letters("".join(re.findall("[A-Z]", text.replace(r"\to", ""))))


def read_move(text: str) -> Move | None:
    """Nf3, Qxe5+, O-O, exd5, e8=Q, e4; 1. e4 e5 2. Nf3."""
    if _CHESS.fullmatch(text) or _MOVES.fullmatch(text):
        return Move(" ".join(re.sub(r"\d+\. ?|\.\.|[+#!?,]", "", text).split()))
    return Move(text, False) if re.fullmatch(_SQUARE, text) else None


def read_words(text: str, *, is_text: bool) -> Words | None:
    r"""Words and nothing else. `is_text` says that they stood in \text{…}; without it, xy, abc and sin x are algebra."""
    if not _WORDS.fullmatch(text):
        return None
    words = [word.strip(".,'") for word in re.split(r"[ -]+", text)]
    words = [word for word in words if word]
    if not is_text and not all(map(_is_raw_word, words)):
        return None
    if not is_text and all(len(word) < 3 for word in words) and " ".join(words).lower() not in ("no", "ok"):
        return None
    if all(len(word) == 1 for word in words) and len(words) == 1:
        return None
    is_list = bool({"and", "or"} & {word.lower() for word in words})
    kept = " ".join(words).casefold()
    kept = re.sub(r"\A(?:the|a|an) (?=\w)", "", kept)
    return Words(_WORD_NAMES.get(kept, kept), is_list)


def _is_raw_word(word: str) -> bool:
    if word in _SMALL_WORDS or word.lower() in ("no", "ok"):
        return True
    if len(word) < 3 or word.lower() in _NAMES_OF_ALGEBRA or re.search(r"[a-z][A-Z]", word):
        return False
    is_product = word.islower() and len(word) < 5 and (not re.search("[aeiou]", word) or word in "abcd")
    return not is_product


def read_number_word(text: str) -> str | None:
    """The digits of a number from zero to twelve that is written as a word."""
    return _NUMBER_WORDS.get(text.lower())


def is_same_words(one: Words, other: Words) -> bool:
    """Whether two texts are the same words; lists that and/or joins in any order."""
    if one.text == other.text:
        return True
    if not (one.is_list and other.is_list):
        return False
    first, second = (sorted(re.split(r" (?:and|or) ", words.text)) for words in (one, other))
    return first == second
