"""Does a response reflect on itself? P0's detector by a language model (arXiv:2506.07712, appendix B.4).

The four categories, their order of precedence, the form of the reply (a short explanation, then one digit) and
the rule "positive where 2 stands in the last three characters" are the paper's. The wording of the question is
ours. The paper takes every other ending for a no; here it is one only where the last three characters hold
exactly one digit and that is 0, 1 or 3. White space at the end does not count as characters.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from pipeline.fingerprint import Config

NAME = "reflection"
SOURCE = "P0 (arXiv:2506.07712) appendix B.4 and figure 9; categories after understand-r1-zero; FACTS 1.6"
DOC = "Whether a response reflects on its own reasoning, in words or in deed (the paper asks gpt-4o-mini-2024-07-18)."
FIELDS = ("problem", "response")
LABELS = {
    "off_topic": "category 0: beside the question, incoherent, or repetition without sense",
    "direct": "category 1: attempts the question and never looks back",
    "reflective": "category 2: any reflection, explicit or implicit; comes before all others",
    "code_only": "category 3: nothing but Python code, without reflection",
}
POSITIVE = ("reflective",)

_BY_DIGIT = dict(zip("0123", LABELS, strict=True))

_QUESTION = """\
Below are a mathematical question and a response to it. Sort the response into one of four categories.

0: It does not engage with the question: unrelated or made-up content, text without coherence or reasoning, or \
the same passage over and over.
1: It works on the question and goes straight ahead: no step is revisited, nothing is verified, no other way is tried.
2: It reflects on itself to any degree. The reflection may be explicit, in words such as recheck, rethink, reassess, \
reevaluate, re-examine, reconsider, reanalyze, double-check, check again, think again, verify again or go over the \
steps. It may also be implicit: returning to an earlier step, doubting an assumption, or weighing another approach.
3: It consists of Python code for the computation and nothing else, without any reflection.

Whenever there is any reflection the category is 2, whether the answer is right or wrong, good or poor.

Explain your choice very briefly, then end with the number of the category (0, 1, 2 or 3) and nothing after it, \
for example: "It solves the equation directly and does not look back. 1."

Question: {problem}
Response: {response}"""


class Params(Config):
    """None: the categories are the paper's."""


def ask(fields: Mapping[str, str], params: Params) -> list[dict[str, str]]:
    """One user message; question and response are put in last, so that no brace of theirs means anything."""
    head, _, tail = _QUESTION.partition("{problem}")
    middle, _, _ = tail.partition("{response}")
    return [{"role": "user", "content": f"{head}{fields['problem']}{middle}{fields['response']}"}]


def read(reply: str, params: Params) -> str | None:
    """The category that stands in the last three characters."""
    ending = reply.rstrip()[-3:]
    if "2" in ending:
        return _BY_DIGIT["2"]
    digits = re.findall(r"\d", ending)
    return _BY_DIGIT.get(digits[0]) if len(digits) == 1 else None
