r"""Numbers with words around them: 20 dollars, \text{13 apples}, \$460, 9 \text{ chickens and } 10 \text{ rabbits}.

The words say what is counted, and the number is the answer, unless a word changes it (at least 20, 20 thousand, not 20): such
a text is no quantity, and agrees with nothing but the same text. Two quantities whose units are both known must have the
same unit; a unit that only one of them names, or that is not known, is passed over.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_UNITS = {
    "mm": "millimeter millimetre", "cm": "centimeter centimetre", "dm": "decimeter decimetre", "m": "meter metre",
    "km": "kilometer kilometre", "in": "inch inche", "ft": "foot feet", "yd": "yard", "mi": "mile", "mg": "milligram",
    "g": "gram gm", "kg": "kilogram", "lb": "pound", "oz": "ounce", "ml": "milliliter millilitre", "l": "liter litre",
    "s": "second sec", "min": "minute", "h": "hour hr", "d": "day", "week": "wk", "month": "", "yr": "year", "dollar": "usd buck",
    "cent": "", "euro": "eur", "mph": "", "kmh": "kmph", "deg": "degree", "rad": "radian", "n": "newton", "j": "joule",
    "w": "watt", "v": "volt", "pa": "pascal", "hz": "hertz", "ohm": "", "percent": "",
}  # fmt: skip
_UNIT = {name: unit for unit, names in _UNITS.items() for name in (unit, *names.split())}
_SHORT = {
    "mm",
    "cm",
    "dm",
    "km",
    "ft",
    "yd",
    "mi",
    "mg",
    "kg",
    "lb",
    "oz",
    "ml",
    "hr",
    "gm",
    "Hz",
    "Pa",
    "kW",
    "in",
    "mL",
    "sq",
}
_SINGLE = set("msghLlNJKAVWCFd")
CHANGING = {
    "not", "never", "no", "less", "fewer", "more", "than", "least", "most", "greater", "over", "under", "above", "below", "between",
    "half", "double", "twice", "triple", "hundred", "thousand", "million", "billion", "trillion", "dozen", "negative", "minus",
    "plus", "times", "divided", "without", "except", "to", "mod", "modulo", "remainder", "base", "squared", "cubed", "root",
    "power", "exceeds", "exceed", "within", "beyond", "larger", "smaller", "bigger", "multiple", "multiples", "either", "neither",
    "nor", "unless", "isn't", "cannot", "can't", "factorial", "choose", "past", "quarter", "third", "thirds", "quarters", "halves",
    "point", "if", "when", "where", "for", "all", "every", "each", "any", "does", "do", "undefined", "roots",
    "mean", "increasing", "decreasing", "even", "odd", "ratio",
}  # fmt: skip
_MULTIPLIERS = {"hundred": "100", "thousand": "1000", "million": "1000000", "billion": "1000000000", "trillion": "1000000000000",
                "dozen": "12"}  # fmt: skip
_MULTIPLIED = re.compile(rf"(\d[\d,]*(?:\.\d+)?) ({'|'.join(_MULTIPLIERS)})s?(?![A-Za-z])")
_NEGATIVE = re.compile(r"\b(?:negative|minus) (?=\d)", re.IGNORECASE)
_HALF_OF_DAY = re.compile(r"(\d) ?([AaPp])\.? ?[Mm](?![A-Za-z])\.?")
_FOREIGN = re.compile(r"(?<=\d)(?=[^\W\d_A-Za-z])|(?<=[^\W\d_A-Za-z])(?=\d)")
_CHANGING_SIGN = re.compile("[万千百亿億兆半不以超约]")
_COUNTABLE = re.compile(r"\d|\\pi|\\infty")
_OPEN = re.compile(r"(?:\\(?:approx|times|cdot|div)|[-+*/=<>^])\s*\Z")
_WRITTEN = re.compile(r"[^\W\d_][^\W\d_'.-]*(?:['.-][^\W\d_]+)*")
_WORD = re.compile(
    r"(?<![\\\w])([^\W\d_](?:[^\W\d_]|['.-](?=[^\W\d_]))*)(?![\w(])((?:\^ ?\{? ?-?\d ?\}?|[23](?!\d))?)"
)
_TEXT = re.compile(r"\\text\{([^{}]*)\}")
_SIGN = {"$": "dollar", "€": "euro", "£": "gbp", "¥": "yen", "₹": "rupee"}
_CURRENCY = re.compile(r"(-?) ?\\?([$€£¥₹]) ?")
_POWERS = {"square": "2", "cubic": "3"}
_AROUND = " ,;:&."


@dataclass(frozen=True)
class Quantities:
    """The texts of the numbers, in order, and the units after them (or before, for money), "" where none is known."""

    numbers: tuple[str, ...]
    units: tuple[str, ...]
    words: str


def read_quantities(text: str) -> Quantities | None:
    """What remains between the words, with the units; None where a word changes a number or a letter is no word."""
    if r"\begin" in text or _CHANGING_SIGN.search(text):
        return None
    flat, written = _write_flat(text)
    found = _Found()
    position = 0
    for match in _WORD.finditer(flat):
        word = match[1].rstrip(".'-")
        is_ratio = "/" in (flat[match.start() - 1 : match.start()], flat[match.end() : match.end() + 1])
        if word.lower() in CHANGING or not _is_word(
            word, written, has_power=bool(match[2]), is_ratio=is_ratio
        ):
            return None
        has_chunk = found.add_number(flat[position : match.start()])
        found.add_word(word, re.sub(r"[^-\d]", "", match[2]), follows=has_chunk)
        position = match.end()
    found.add_number(flat[position:])
    is_bare = not found.words and flat == " ".join(text.split())
    if is_bare or set(found.words) in ({"and"}, {"or"}, {"and", "or"}) or not found.numbers:
        return None
    if not all(map(_is_whole, found.numbers)):
        return None
    return Quantities(tuple(found.numbers), tuple(found.units), " ".join(found.words))


def _write_flat(text: str) -> tuple[str, set[str]]:
    r"""The text without \text, money, thousands, minus and halves of the day written one way; and the words that stood in \text."""
    written = set(_WRITTEN.findall(" ".join(_TEXT.findall(text))))
    flat = " ".join(_TEXT.sub(r" \1 ", text).split()).replace(" ^", "^")
    flat = _CURRENCY.sub(lambda found: f" {_SIGN[found[2]]} {found[1]}", flat)
    flat = _MULTIPLIED.sub(
        lambda found: rf"{found[1].replace(',', '')} \times {_MULTIPLIERS[found[2]]}", flat
    )
    flat = _HALF_OF_DAY.sub(r"\1\2m", _NEGATIVE.sub("-", flat))
    return " ".join(_FOREIGN.sub(" ", flat).split()), written


def _is_whole(chunk: str) -> bool:
    """Whether what stands between two words can be a number: it holds one, and neither bracket nor operator is left open."""
    is_closed = chunk.count("{") == chunk.count("}") and chunk.count("(") == chunk.count(")")
    return is_closed and bool(_COUNTABLE.search(chunk)) and not _OPEN.search(chunk)


class _Found:
    """Numbers with their units, gathered from left to right."""

    def __init__(self) -> None:
        self.numbers: list[str] = []
        self.units: list[str] = []
        self.words: list[str] = []
        self._pending = ""

    def add_number(self, chunk: str) -> bool:
        """Take what stands between two words, if it is anything."""
        chunk = chunk.strip(_AROUND).strip("/ ").strip(_AROUND).removeprefix(r"\cdot").strip()
        if chunk:
            self.numbers.append(chunk)
            self.units.append(self._pending)
            self._pending = ""
        return bool(chunk)

    def add_word(self, word: str, power: str, *, follows: bool) -> None:
        """Take a word; a unit belongs to the number before it, money that stands before a number to that."""
        self.words.append(word.lower())
        unit = _unit(word)
        if not unit:
            return
        if unit in _SIGN.values() and not follows:
            self._pending = unit
        elif not self.units:
            return
        elif not self.units[-1]:
            self.units[-1] = unit + power
        elif self.units[-1] in _POWERS:
            self.units[-1] = unit + _POWERS[self.units[-1]]
        else:
            self.units[-1] += "/" + unit + power


def _unit(word: str) -> str:
    if word in ("square", "sq", "cubic"):
        return "square" if word == "sq" else word
    if word in _UNIT:
        return _UNIT[word]
    lower = word.lower()
    singular = lower.removesuffix("s") if len(lower) > 2 else lower
    return _UNIT.get(lower) or _UNIT.get(singular) or (lower if lower in _SIGN.values() else "")


def _is_word(word: str, written: set[str], *, has_power: bool, is_ratio: bool) -> bool:
    is_text = any(one.rstrip(".'-") == word for one in written)
    if has_power and not _unit(word):
        return False
    if len(word) == 1 and word.isascii():
        return (is_text and word in "aI") or ((is_text or is_ratio) and word in _SINGLE)
    if len(word) == 2 and word.isascii():
        return (
            is_text or word in _SHORT or word in ("of", "is", "in", "at", "or", "an", "on", "am", "pm", "by")
        )
    return True


def is_same_unit(one: str, other: str) -> bool:
    """Whether two units can be one: where both are known, they must be."""
    return not one or not other or one == other
