r"""Signs written one way: Unicode and full-width characters as ASCII or LaTeX, and LaTeX without its layout.

`write_signs` keeps the meaning of every text, inside and outside of mathematics. `strip_layout` is for one answer alone: it
takes away what only says how the answer looks (dollars, bold, code ticks, spaces, \left and \right, a final period).
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

_NAMED = {
    "−": "-", "–": "-", "‐": "-", "‑": "-", "﹣": "-", "×": r"\times ", "÷": r"\div ", "⋅": r"\cdot ", "·": r"\cdot ",
    "∙": r"\cdot ", "π": r"\pi ", "∞": r"\infty ", "≤": r"\leq ", "≥": r"\geq ", "⩽": r"\leq ", "⩾": r"\geq ", "≦": r"\leq ",
    "≧": r"\geq ", "≠": r"\neq ", "≈": r"\approx ", "±": r"\pm ", "∓": r"\mp ", "°": r"^\circ ", "º": r"^\circ ",
    "∅": r"\emptyset ", "⌀": r"\emptyset ", "∪": r"\cup ", "∩": r"\cap ", "∈": r"\in ", "…": r"\ldots ", "θ": r"\theta ",
    "α": r"\alpha ", "β": r"\beta ", "γ": r"\gamma ", "λ": r"\lambda ", "φ": r"\phi ", "ω": r"\omega ", "⁄": "/",
    "∕": "/", "→": r"\to ", "ℝ": r"\mathbb{R}", "ℤ": r"\mathbb{Z}", "ℕ": r"\mathbb{N}", "ℚ": r"\mathbb{Q}",
    "ℂ": r"\mathbb{C}", "∣": "|", "′": "'", "″": "''", "“": '"', "”": '"', "‘": "'", "’": "'", "。": ".", "、": ",",
    "\u00a0": " ", "\u202f": " ", "\u2009": " ", "\u2007": " ", "\u3000": " ",
}  # fmt: skip
_DROPPED = dict.fromkeys(map(ord, "\u200b\u200c\u200d\u2060\ufeff\u200e\u200f\u00ad"))
_SUPERSCRIPTS = dict(zip("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿ", "0123456789+-n", strict=True))
_SUBSCRIPTS = dict(zip("₀₁₂₃₄₅₆₇₈₉", "0123456789", strict=True))
_PLAIN = re.compile(r"[\x00-\x7f]*")
_RAISED = re.compile(f"[{''.join(_SUPERSCRIPTS)}]+")
_LOWERED = re.compile(f"[{''.join(_SUBSCRIPTS)}]+")
_ROOT = re.compile(r"([√∛∜])\s*(\d+(?:\.\d+)?|\{[^{}]*\}|\([^()]*\)|[A-Za-z])?")
_ROOTS = {"√": r"\sqrt", "∛": r"\sqrt[3]", "∜": r"\sqrt[4]"}

_BOLD_DIGITS = re.compile(r"\\(?:mathbf|boldsymbol|mathrm)\s*\{\s*(?:- ?)?\d(?: \d)+\s*\}")
_TEXT_COMMANDS = "text|textbf|textit|textrm|textnormal|texttt|textsf|emph|mbox|mathrm|mathsf|mathtt|operatorname|mathbf|boldsymbol|bm"
_TEXT = re.compile(rf"\\(?:{_TEXT_COMMANDS})\*?\s*\{{([^{{}}]*)\}}")
_UNWRAPPED = re.compile(r"\{\\(?:rm|bf|it|tt)\s+([^{}]*)\}")
_DOUBLED = re.compile(r"\\\\(?=[A-Za-z{}])")
_LAYOUT = re.compile(
    r"\\(?:left|right|[bB]igg?[lr]?|displaystyle|textstyle|mathstrut|limits)(?![A-Za-z])\.?"
    r"|(?<!\\)\$|(?<!\\)\\[()\[\]]|\\(?:phantom|hspace|vspace)\*?\{[^{}]*\}"
)
_SPACE = re.compile(r"\\(?:quad|qquad|enspace|thinspace|medspace)(?![A-Za-z])|\\[,;: ]|~|\\\n")
_OTHER_NAMES = {
    r"\dfrac": r"\frac", r"\tfrac": r"\frac", r"\cfrac": r"\frac", r"\varnothing": r"\emptyset", r"\empty": r"\emptyset",
    r"\lbrace": r"\{", r"\rbrace": r"\}", r"\le": r"\leq", r"\ge": r"\geq", r"\ne": r"\neq", r"\leqslant": r"\leq", r"\geqslant": r"\geq", r"\lt": "<", r"\gt": ">",
    r"\degree": r"^\circ ", r"\textdegree": r"^\circ ", r"\dots": r"\ldots", r"\cdots": r"\ldots", r"\dotsc": r"\ldots",
    r"\rightarrow": r"\to", r"\ast": "*", r"\minus": "-", r"\infin": r"\infty", r"\imath": "i", r"\lparen": "(",
    r"\rparen": ")", r"\colon": ":",
}  # fmt: skip
_COMMAND = re.compile(r"\\[A-Za-z]+")
_MARKED = re.compile(r"\A(\*\*\*|\*\*|___|__|```|``|`|\"|''|\*|_)(?!\s)(.+?)(?<!\s)\1\Z", re.DOTALL)
_TAGGED = re.compile(r"\A<\s*(\w+)\s*>(.*)<\s*/\s*\1\s*>\Z", re.DOTALL)
_LEADING = re.compile(r"\A(?:=|:|\\approx(?![A-Za-z])|\\therefore(?![A-Za-z])|\\sim(?![A-Za-z]))\s*")
_TRAILING = re.compile(r"(?:(?<![\\.])[.,;:]|(?<=[\w)\]}])\s+!)\s*\Z")


def join_digits(text: str) -> str:
    r"""\mathbf{4 5} as \mathbf{45}: so scanned papers print one number in bold. \text{4 5} stays two."""
    return _BOLD_DIGITS.sub(lambda found: found[0].replace(" ", ""), text)


def write_signs(text: str) -> str:
    """The text with Unicode's signs and other scripts' digits as ASCII and LaTeX; ASCII comes back as it is."""
    if _PLAIN.fullmatch(text):
        return text
    text = _ROOT.sub(_write_root, text)
    text = _RAISED.sub(lambda found: "^{" + "".join(_SUPERSCRIPTS[c] for c in found[0]) + "}", text)
    text = _LOWERED.sub(lambda found: "_{" + "".join(_SUBSCRIPTS[c] for c in found[0]) + "}", text)
    return "".join(map(_write_character, text.translate(_DROPPED)))


def _write_root(found: re.Match[str]) -> str:
    radicand = found[2]
    if radicand is None:
        return _ROOTS[found[1]] + " "
    return f"{_ROOTS[found[1]]}{{{radicand[1:-1] if radicand[0] in '{(' else radicand}}}"


@lru_cache(maxsize=4096)
def _write_character(character: str) -> str:
    if character < "\x80":
        return character
    if character in _NAMED:
        return _NAMED[character]
    digit = unicodedata.digit(character, None)
    if digit is not None:
        return str(digit)
    plain = unicodedata.normalize("NFKC", character)
    if "⁄" in plain and (parts := plain.split("⁄"))[0].isdigit() and parts[1].isdigit():
        return rf"\frac{{{parts[0]}}}{{{parts[1]}}}"
    if (
        len(plain) == 1
        and plain < "\x80"
        and ("\uff00" <= character <= "\uffef" or character >= "\U0001d400")
    ):
        return plain
    return character


@lru_cache(maxsize=1024)
def strip_layout(text: str) -> str:
    r"""One answer without layout: what is left is its meaning. \text{…} stays, as \text alone."""
    text = join_digits(write_signs(text)).strip()
    if r"\begin" not in text:
        text = _DOUBLED.sub(r"\\", text)
    for _ in range(4):
        before = text
        text = _LEADING.sub("", _TRAILING.sub("", text)).strip()
        if found := _MARKED.match(text) or _TAGGED.match(text):
            text = found[2].strip()
        text = _SPACE.sub(" ", _LAYOUT.sub("", text)).replace(r"\!", "").strip()
        if text == before:
            break
    text = _UNWRAPPED.sub(r"\\text{\1}", text)
    text = _TEXT.sub(r"\\text{\1}", text)
    return " ".join(_COMMAND.sub(lambda found: _OTHER_NAMES.get(found[0], found[0]), text).split())


def take_text(text: str) -> str:
    r"""The text with the contents of \text{…} in its place, set apart by spaces."""
    for _ in range(3):
        text, count = re.subn(r"\\text\{([^{}]*)\}", r" \1 ", text)
        if not count:
            break
    return " ".join(text.split())


def strip_enclosure(text: str) -> str:
    r"""Without brackets that hold the whole text: (42), [42], {42}; texts with a comma within are left as they are."""
    while len(text) > 2 and (text[0], text[-1]) in (("(", ")"), ("[", "]"), ("{", "}")):
        inner = text[1:-1]
        if any(sign in inner for sign in "()[]{},;"):
            return text
        text = inner.strip()
    return text
