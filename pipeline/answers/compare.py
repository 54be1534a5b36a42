r"""Whether an answer agrees with a gold answer, as far as it can be said without computer algebra.

`compare` gives True or False, or the two texts that are left to algebra: the whole answers, or what the words and the letter of an
option leave of them. Things of different kinds that are both no algebra never agree. The gold is the measure: where
it is a number, the number among the words of the answer counts; where it has a unit or a text of its own, these count too.
A gold that cannot be told from algebra is never decided against here, for algebra may find that it is no gold at all.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

from pipeline.answers.notation import (
    Date,
    Letters,
    Move,
    Numeral,
    Option,
    Time,
    Words,
    is_same_date,
    is_same_time,
    is_same_words,
)
from pipeline.answers.numbers import Number, compare_numbers
from pipeline.answers.quantities import Quantities, is_same_unit
from pipeline.answers.reading import Algebra, Empty, Listing, Phrase, Reading, SetOf, read_answer
from pipeline.answers.signs import strip_layout, take_text

NO_GOLDS = frozenset(
    {"", "proof", "proof.", "the proof", "see proof", "notfound", "not found", "not_found", "none", "null", "nil", "nan", "n/a", "#n/a",
     "n.a.", "n.a", "<na>", "pd.na", "missing", "no answer", "not available", "unavailable", "unknown", "not provided",
     "not applicable", "-", "--", "?", "[]", "()", "todo", "tbd"}
)  # fmt: skip
"""What data sets write where they have no answer, in small letters."""

LONGEST_NO_GOLD = 60
"""With dollars and boxes around it."""

_BOX = re.compile(r"\A\s*\$?\\(?:boxed|fbox)\s*\{(.*)\}\s*\$?\s*\Z", re.DOTALL)
_SPACED = re.compile(r"\d{1,3}(?: \d{3})+")
_ASSIGNED = re.compile(r"\A\s*\$?\s*([A-Za-z](?:_\{?\w+\}?)?)\s*=\s*([^=<>]+)\Z")


@dataclass(frozen=True)
class Undecided:
    """The two texts that computer algebra has to compare."""

    gold: str
    answer: str


Decision = bool | Undecided


def is_no_gold(gold: str) -> bool:
    r"""Whether a gold answer says that there is none: proof, \text{None}, nan, N/A, nothing at all."""
    if len(gold) > LONGEST_NO_GOLD:
        return False
    text = take_text(strip_layout(_BOX.sub(r"\1", gold))).strip()
    return text.casefold() in NO_GOLDS or text == "NA" or gold.strip().casefold() in NO_GOLDS


def compare(gold: str, answer: str) -> Decision:
    """Whether `answer` agrees with `gold`, or what is left to algebra."""
    gold_assigned, answer_assigned = _ASSIGNED.match(gold), _ASSIGNED.match(answer)
    if gold_assigned and not answer_assigned:
        decision = _compare(read_answer(gold_assigned[2]), read_answer(answer), gold_assigned[2], answer)
        return decision if isinstance(decision, bool) else Undecided(gold, answer)
    if answer_assigned and not gold_assigned:
        decision = _compare(read_answer(gold), read_answer(answer_assigned[2]), gold, answer_assigned[2])
        return decision if isinstance(decision, bool) else Undecided(gold, answer)
    return _compare(read_answer(gold), read_answer(answer), gold, answer)


def _compare(one: Reading, other: Reading, gold: str, answer: str) -> Decision:
    open_question = Undecided(gold, answer)
    if isinstance(one, Option) or isinstance(other, Option):
        return _compare_options(one, other, gold, answer)
    if isinstance(one, SetOf) or isinstance(other, SetOf):
        return _compare_sets(one, other, gold, answer)
    if isinstance(one, Quantities) or isinstance(other, Quantities):
        return _compare_quantities(one, other, gold, answer)
    if isinstance(one, Number) and isinstance(other, Number):
        decision = compare_numbers(one, other)
        return open_question if decision is None else decision
    if isinstance(one, Listing) or isinstance(other, Listing):
        decision = _compare_listings(one, other, gold, answer)
        return open_question if decision is None else decision
    decision = _compare_notation(one, other, gold, answer)
    return open_question if decision is None else decision


def _compare_notation(one: Reading, other: Reading, gold: str, answer: str) -> bool | None:
    match one, other:
        case (Time(), Time()):
            return is_same_time(one, other)
        case (Date(), Date()):
            return is_same_date(one, other)
        case (Numeral(), Numeral()):
            return one.value == other.value
        case (Numeral(), Number()):
            return _digits(answer) == one.digits
        case (Number(), Numeral()):
            return _digits(gold) == other.digits
        case (Number(), Time()) if other.is_full_hour:
            return compare_numbers(one, Number(Fraction(other.hour)))
        case (Time(), Number()) if one.is_full_hour:
            return compare_numbers(Number(Fraction(one.hour)), other)
        case (Words(), Words()):
            return is_same_words(one, other)
        case (Letters() | Words(), Letters() | Words()):
            return one.text.casefold() == other.text.casefold()
        case (Empty(), Empty()):
            return True
        case (Phrase(), Phrase()):
            return one.text == other.text
        case (Move(), Move()):
            return one.text == other.text
    is_open, may_be = (
        isinstance(one, Algebra) or _may_be_algebra(one),
        isinstance(other, Algebra) or _may_be_algebra(other),
    )
    if (
        isinstance(one, Algebra)
        or (is_open and (may_be or isinstance(other, Number)))
        or (isinstance(one, Number) and may_be)
    ):
        return None
    return False


def _may_be_algebra(reading: Reading) -> bool:
    """A square of the board may be a product, a clock face a ratio."""
    return (isinstance(reading, Move) and not reading.is_certain) or (
        isinstance(reading, Time) and reading.half is None
    )


def _digits(text: str) -> str:
    digits = re.sub(r"\D", "", strip_layout(text)).lstrip("0") or "0"
    return ("-" if strip_layout(text).startswith("-") else "") + digits


def _compare_sets(one: Reading, other: Reading, gold: str, answer: str) -> Decision:
    """By their texts; an inequality in one variable is left to algebra, which knows its interval."""
    if isinstance(one, SetOf) and isinstance(other, SetOf) and one.text == other.text:
        return True
    if isinstance(one, SetOf) and one.inequality is None:
        return False
    if isinstance(other, SetOf) and other.inequality is None:
        return Undecided(gold, answer) if isinstance(one, Algebra) else False
    first = one.inequality if isinstance(one, SetOf) else gold
    second = other.inequality if isinstance(other, SetOf) else answer
    return Undecided(first or gold, second or answer)


def _compare_options(one: Reading, other: Reading, gold: str, answer: str) -> Decision:
    if isinstance(one, Option) and isinstance(other, Option):
        if one.letter != other.letter:
            return False
        if one.text is None or other.text is None:
            return True
        return compare(one.text, other.text) is not False
    if isinstance(one, Option):
        if one.text is not None:
            return compare(one.text, answer)
        return Undecided(gold, answer) if one.is_bare and isinstance(other, Algebra) else False
    assert isinstance(other, Option)
    if other.text is not None:
        return compare(gold, other.text)
    return Undecided(gold, answer) if isinstance(one, Algebra) else False


def _compare_quantities(one: Reading, other: Reading, gold: str, answer: str) -> Decision:
    """Number by number, where the units can be the same."""
    golds, gold_units = _parts(one, gold)
    answers, answer_units = _parts(other, answer)
    if isinstance(one, Quantities) and isinstance(other, Quantities) and len(golds) == len(answers):
        if not all(map(is_same_unit, gold_units, answer_units)):
            return False
    elif isinstance(one, Words | Letters | Date | Empty | Phrase) or isinstance(
        other, Words | Letters | Date | Empty | Phrase
    ):
        return Undecided(gold, answer) if isinstance(one, Quantities) and not _are_numbers(golds) else False
    if len(golds) == len(answers) == 1:
        return compare(golds[0], answers[0])
    if isinstance(one, Algebra) or isinstance(other, Algebra):
        return Undecided(", ".join(golds) if isinstance(one, Quantities) else gold, ", ".join(answers))
    if len(golds) != len(answers):
        return Undecided(gold, answer) if isinstance(one, Quantities) and not _are_numbers(golds) else False
    decisions = [compare(first, second) for first, second in zip(golds, answers, strict=True)]
    if any(decision is False for decision in decisions):
        return False
    return (
        True
        if all(decision is True for decision in decisions)
        else Undecided(", ".join(golds), ", ".join(answers))
    )


def _parts(reading: Reading, text: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    if isinstance(reading, Quantities):
        return reading.numbers, reading.units
    parts = reading.parts if isinstance(reading, Listing) else (text,)
    return parts, ("",) * len(parts)


def _are_numbers(parts: tuple[str, ...]) -> bool:
    return all(isinstance(read_answer(part), Number) for part in parts)


def _compare_listings(one: Reading, other: Reading, gold: str, answer: str) -> bool | None:
    """Brackets and runs keep their order; sets and bare lists of numbers have none."""
    if not isinstance(one, Listing) or not isinstance(other, Listing):
        return _compare_with_single(one, other, gold, answer)
    if not (_is_plain(one) and _is_plain(other)):
        return None
    kinds = {one.kind, other.kind}
    if "{" in kinds and kinds & {"(", "["}:
        return False
    is_ordered = _is_ordered(one) or _is_ordered(other)
    if len(one.parts) == len(other.parts):
        decisions = [compare(first, second) for first, second in zip(one.parts, other.parts, strict=True)]
        if all(decision is True for decision in decisions) and (
            len(kinds) == 1 or kinds <= {"", " ", "(", "{"}
        ):
            return True
        if is_ordered and any(decision is False for decision in decisions):
            return False
    elif is_ordered:
        return False
    return None if is_ordered else _compare_unordered(one.parts, other.parts)


def _is_ordered(listing: Listing) -> bool:
    """Whether a list has an order: in brackets, side by side, and of what is no number (but words joined by and, or)."""
    if listing.kind == "":
        return not listing.is_joined and not _are_numbers(listing.parts)
    return listing.kind != "{"


def _is_plain(listing: Listing) -> bool:
    """Whether no part is algebra or a list."""
    return not any(isinstance(read_answer(part), Algebra | Listing) for part in listing.parts)


def _compare_with_single(one: Reading, other: Reading, gold: str, answer: str) -> bool | None:
    """One is a list, the other none: a run of numbers is never one number, a list of one value is it."""
    if isinstance(one, Algebra) or isinstance(other, Algebra) or _may_be_algebra(one):
        return None
    listing, single, text = (one, other, answer) if isinstance(one, Listing) else (other, one, gold)
    assert isinstance(listing, Listing)
    if not _is_plain(listing):
        return None
    if not isinstance(single, Number):
        return False
    if _SPACED.fullmatch(side_by_side := strip_layout(text)):
        return side_by_side.split() == list(listing.parts)
    decisions = [compare(part, text) for part in listing.parts]
    if listing.kind == " " or all(decision is False for decision in decisions):
        return False
    return True if listing.kind in ("", "{") and all(decision is True for decision in decisions) else None


def _compare_unordered(golds: tuple[str, ...], answers: tuple[str, ...]) -> bool | None:
    """True where each gold has an answer of its own; False where a part agrees with none of the other side; else None."""
    for part in golds:
        if all(compare(part, answer) is False for answer in answers):
            return False
    for answer in answers:
        if all(compare(part, answer) is False for part in golds):
            return False
    free = list(answers)
    for part in golds:
        agreeing = [answer for answer in free if compare(part, answer) is True]
        if not agreeing:
            return None
        free.remove(agreeing[0])
    return None if free else True
