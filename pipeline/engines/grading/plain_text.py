r"""Whether two answers that are no mathematics to the grader are the same text.

Only what LaTeX itself, or reading, leaves without meaning is passed over: spaces and their commands, dollars, a final
period, \left and \right, \text{…} and its like, braces around one character, other names of one sign (\le, \leq), and
the case of words of three letters or more. Everything else counts: E is not e, E_1, E_2 is not E_2, E_1.
"""

from __future__ import annotations

import re

_END = re.compile(r"(?<!\\)\.\s*\Z")
_TEXT = re.compile(r"\\(?:text|textbf|textit|textrm|mathrm|mathbf|mbox)\s*\{([^{}]*)\}")
_BRACED = re.compile(r"(?<!\\)\{\s*(\w)\s*\}")
_WORD = re.compile(r"(?<![\\A-Za-z])[A-Za-z]{3,}")
_TOKEN = re.compile(r"\\[A-Za-z]+|\\.|\d+|\S")
_OTHER_NAMES = {
    "\\le": "\\leq", "\\ge": "\\geq", "\\ne": "\\neq", "\\lt": "<", "\\gt": ">", "\\mid": "|", "\\vert": "|",
    "\\dfrac": "\\frac", "\\tfrac": "\\frac", "\\lbrace": "\\{", "\\rbrace": "\\}",
}  # fmt: skip
_NOTHING = {"$", "\\left", "\\right", "\\quad", "\\qquad", "\\,", "\\;", "\\:", "\\!", "\\ ", "~"}


def is_same_text(one: str, other: str) -> bool:
    """Whether two answers say the same, sign by sign."""
    return _read_signs(one) == _read_signs(other)


def _read_signs(text: str) -> list[str]:
    text = _TEXT.sub(r" \1 ", _END.sub("", text))
    text = _BRACED.sub(r"\1", _WORD.sub(lambda found: found[0].lower(), text))
    return [_OTHER_NAMES.get(sign, sign) for sign in _TOKEN.findall(text) if sign not in _NOTHING]
