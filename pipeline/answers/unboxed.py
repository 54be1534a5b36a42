r"""Where a response without a box states its answer.

The last `<answer>…</answer>`, else the last statement "answer is …", "Answer: …", "#### …", in English or another language,
whose rest of the sentence is an answer as a whole: a number, with or without words, mathematics between dollars, a choice, a time
and so on. None where the response states nothing in these ways: the grader then looks for the last expression or number.
"""

from __future__ import annotations

import re

from pipeline.answers.notation import Date, Numeral, Option, Time, Words
from pipeline.answers.numbers import Number
from pipeline.answers.quantities import Quantities
from pipeline.answers.reading import Algebra, Listing, Phrase, read_answer
from pipeline.answers.signs import join_digits, strip_layout, write_signs

STATEMENTS = 8
"""How many statements, from the end, are looked at."""

SENTENCE = 300
"""Characters of a statement that are read."""

_LAST_BOLD = re.compile(r"(\*\*|__)(?=\S)([^*\n]{1,80}?)(?<=\S)\1[.!。\s]*\Z")
_CLOCK = re.compile(r"(?<![\d:])\d{1,2}:\d{2}(?::\d{2})? ?(?:[ap]\.m\.|[ap]m\b)", re.IGNORECASE)
_CALCULATED = re.compile(r"<<[^<>\n]*>>")
_TAG = re.compile(r"<\s*answer\s*>(.*?)<\s*/\s*answer\s*>", re.DOTALL | re.IGNORECASE)
_STATED = re.compile(
    r"(?:\bfinal answer|\b(?:correct|right) (?:option|choice)|\banswers?|\bANS\b|答案|答え|答|정답|답|\bAntwort|\bErgebnis|\br[ée]ponse|\bresultado|\brespuesta|\brisposta"
    r"|\bresposta|\bответ|उत्तर|\bantwoord|\bodpowied[zź]|\bodpověď|\bsvar|\bcevap|\bđáp án|\bđáp số|\bjawaban|الجواب|الإجابة|คำตอบ|\bvastaus"
    r"|\bαπάντηση|\bתשובה|\bвідповідь)"
    r"(?:[^\n.:：=。]{0,60}?(?:\b(?:is|are|was|ist|lautet|beträgt|est|es|è|é|er|är|to|equals|będzie|là|adalah)\b|[为為是は은는है]))?"
    r"(?:[*_`\s]*(?:\b(?:is|are|equals)\b|[:：=为為是は]|है|\\approx|->|→))*|^[ \t]*#{4}(?!#)",
    re.IGNORECASE | re.MULTILINE,
)
_SEPARATED = re.compile(
    r"(?:[:：=为為是は은는है]|\b(?:is|are|was|ist|lautet|beträgt|est|es|è|é|er|är|equals|là|adalah)|#{4}|->|→)[*_`\s]*\Z",
    re.IGNORECASE,
)
_DISPLAY = re.compile(r"\s*(?:\$\$(.+?)\$\$|\\\[(.+?)\\\])", re.DOTALL)
_INLINE = re.compile(r"\s*[*_]*(?:\$([^$\n]+)\$|\\\((.+?)\\\))[*_]*\s*(?:[.,;!。]|\Z|\(|\s[A-Za-z])")
_SENTENCE_END = re.compile(r"[.!?](?=\s|\Z|[*_`\"]+(?:\s|\Z))|[。！？]")
_CLAUSE_END = re.compile(
    r",?\s+(?:because|since|as|which|so|for|where|after|when|if|but|given)\b|,\s+(?=[A-Za-z])|\s+\(|;|[，；]| - | — "
)
_FORMULA = re.compile(r"(?=.*[\d+*/^=<>\\])[\w+\-*/^=(){}\\.,|<>! \[\]]{1,60}", re.ASCII)
_LONG_WORD = re.compile(
    r"(?<![A-Za-z\\])(?!(?:sin|cos|tan|log|exp|sqrt|cot|sec|csc)(?![A-Za-z]))[A-Za-z]{3,}|(?<!\S)(?:is|of|to|in|so|we|by|at|it|if|as)(?!\S)"
)
_NOT = re.compile(r"\s*(?:not|never|no longer|wrong|incorrect|n't)\b", re.IGNORECASE)


def find_stated(response: str, *, is_latex_only: bool = False) -> str | None:
    """The stated answer, as a text to be read like a box; with `is_latex_only`, only mathematics between dollars."""
    response = _CALCULATED.sub("", response)
    if not is_latex_only and (tagged := [found[1] for found in _TAG.finditer(response)]):
        content = tagged[-1].strip()
        return find_stated(content) or content or None
    for statement in reversed(list(_STATED.finditer(response))[-STATEMENTS:]):
        if not _SEPARATED.search(statement[0]) or _NOT.match(response, statement.end()):
            continue
        rest = re.sub(r"\A[*_`]+(?=\s)", "", response[statement.end() : statement.end() + SENTENCE])
        if (stated := _read_mathematics(rest)) is not None:
            return stated
        if not is_latex_only and (stated := _read_sentence(rest)) is not None:
            return stated
    return None if is_latex_only else _read_end(response)


def _read_end(response: str) -> str | None:
    """What is bold at the very end, or the time of day in which the last number stands."""
    if (bold := _LAST_BOLD.search(response)) and _is_answer(bold[2]):
        return strip_layout(bold[2])
    times = list(_CLOCK.finditer(response))
    return times[-1][0] if times and not re.search(r"\d", response[times[-1].end() :]) else None


def _read_mathematics(rest: str) -> str | None:
    r"""What stands between dollars, \( \) or \[ \], where the statement goes on with it."""
    found = _DISPLAY.match(rest) or _INLINE.match(rest)
    if not found:
        return None
    return (found[1] or found[2]).strip() or None


def _read_sentence(rest: str) -> str | None:
    """The statement to the end of its line, of its sentence, or of its first clause, where that is an answer."""
    line = rest.strip().split("\n", 1)[0].strip().rstrip("!！")
    for mark in ("**", "__", "`"):
        line = line.removesuffix(mark) if line.count(mark) == 1 else line
    sentence = line[: found.start()] if (found := _SENTENCE_END.search(line)) else line
    clause = sentence[: found.start()] if (found := _CLAUSE_END.search(sentence)) else sentence
    for text in dict.fromkeys((line, sentence, clause)):
        if text and _is_answer(text):
            return strip_layout(text)
    return None


def _is_answer(text: str) -> bool:
    """Whether a text is one answer, not the beginning of an explanation."""
    written = write_signs(text)
    reading = read_answer(written)
    if isinstance(reading, Algebra):
        return bool(_FORMULA.fullmatch(text)) and not _LONG_WORD.search(text)
    if isinstance(reading, Phrase):
        return False
    if isinstance(reading, Listing):
        return all(
            isinstance(read_answer(part), Number | Time | Date | Numeral | Option) for part in reading.parts
        )
    if isinstance(reading, Words):
        return len(reading.text.split()) <= 3
    if isinstance(reading, Quantities):
        return len(reading.words.split()) <= 8 and all(
            not isinstance(read_answer(n), Algebra) for n in reading.numbers
        )
    return not isinstance(reading, Option) or strip_layout(written)[:1] not in ("a", "I")


_BOLD = re.compile(
    r"(?<!\\)\*\*\*?(?=\S)(.+?)(?<=\S)\*\*\*?|(?<![\w\\])__(?=\S)(.+?)(?<=\S)__(?!\w)"
    r"|(?<![`\w])`+(?=\S)([^`\n]+?)`+(?![`\w])|(?<![\w*\\)}\]])\*([^*\s]+)\*(?![\w*({\[])|(?<![\w\\}])_([^_\s]+)_(?!\w)"
)
_VULGAR = re.compile(r"(\d+)?\s?\\frac\{(\d+)\}\{(\d+)\}")


def write_plainly(response: str) -> str:
    """The response without markup around words and numbers, its signs written one way, for the search for a last number."""
    text = _BOLD.sub(lambda found: next(group for group in found.groups() if group is not None), response)
    text = join_digits(re.sub(r"\\\$(?=\s?\d)", "$", text))
    if text.isascii():
        return text
    return write_signs(_join_vulgar(text))


def _join_vulgar(text: str) -> str:
    r"""2½ as \frac{5}{2}: outside of mathematics only a fraction alone is looked for."""

    def join(found: re.Match[str]) -> str:
        parts = _VULGAR.fullmatch(write_signs(found[0]))
        if not parts:
            return found[0]
        whole, numerator, denominator = int(parts[1] or 0), int(parts[2]), int(parts[3])
        return rf"\frac{{{whole * denominator + numerator}}}{{{denominator}}}"

    return re.sub(r"\d*\s?[¼½¾⅐-⅞]", join, text)
