"""Is a question fit for a training set? The noise filter of Open-RS (arXiv:2503.16219, section 2.1).

The paper lets Qwen2.5-7B-Instruct remove noisy and multi-part questions (21,533 rows become the 18,615 of open-s1).
Its prompt was not released: what counts as noisy or multi-part, and the wording, are ours.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from pipeline.fingerprint import Config

NAME = "clean_question"
SOURCE = "P2 (arXiv:2503.16219), noise filter; FACTS 3.2; the prompt is unreleased, this wording is ours"
DOC = "Whether a question is one complete, readable task (the paper asks Qwen2.5-7B-Instruct)."
FIELDS = ("problem",)
LABELS = {
    "clean": "one complete question that can be understood and answered as it stands",
    "noisy": "garbled, cut off, missing a figure or a premise, or no question",
    "multi_part": "asks for several separate answers",
}
POSITIVE = ("clean",)

_QUESTION = """\
You check questions for a mathematics training set. Sort the question below into one of three classes.

noisy: it cannot be answered as it stands. It is garbled or cut off, refers to a figure, table or earlier text that is \
not there, lacks a premise, contains remains of a web page or of its own solution, or is no question at all.
multi_part: it can be understood, but it asks for several separate answers, such as parts (a) and (b).
clean: it is one complete question with one answer. An answer that is a set, a pair or an expression is one answer.

If a question is noisy, it is noisy also when it has several parts.

Give one short sentence of reason. Then write the class, alone on the last line: clean, noisy or multi_part.

Question: {problem}"""

_LAST_LINE = re.compile(
    r"[\W_]*(?:(?:class|verdict|answer)[\W_]+)?(clean|noisy|multi[ _-]?part)[\W_]*", re.IGNORECASE
)


class Params(Config):
    """None."""


def ask(fields: Mapping[str, str], params: Params) -> list[dict[str, str]]:
    """One user message that ends with the question."""
    return [{"role": "user", "content": _QUESTION.replace("{problem}", fields["problem"])}]


def read(reply: str, params: Params) -> str | None:
    """The class that stands alone on the last line."""
    found = _LAST_LINE.fullmatch(reply.rstrip().rpartition("\n")[2])
    if found is None:
        return None
    word = found[1].lower()
    return "multi_part" if word.startswith("multi") else word
