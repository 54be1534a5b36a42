r"""The grading process: reads [response, gold] per line, answers [outcome, extracted] per line.

Started by pipeline.grading as `python -m pipeline.engines.verification SETTINGS`. Math-Verify's own
timeouts are off (they need the main thread and cannot stop C code); instead the kernel ends this process
with SIGPROF when one response has used its processor seconds, or SIGALRM at ten times as many wall-clock
seconds, and the caller starts another one.
"""

from __future__ import annotations

import json
import logging
import re
import resource
import signal
import sys
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from math_verify import ExprExtractionConfig, LatexExtractionConfig, parse, verify

from pipeline.grading import Outcome, Unboxed, find_box

MEMORY_BYTES = 6 * 2**30
"""Address space of a grading process: a tower of powers ends as an error, not as a full node."""

TAIL_CHARACTERS = 4_000
"""Where unboxed answers are looked for: the end of the response."""

EXTRACTED_CHARACTERS = 500
"""Longer answers are cut in the report."""

_DOLLAR = re.compile(r"(?<!\\)\$")
_DOLLARS = re.compile(r"(?<!\\)\$.*?(?<!\\)\$|\\[A-Za-z]+", re.DOTALL)
_BOXED = (LatexExtractionConfig(boxed_match_priority=0),)
_UNBOXED = {
    "answer_phrase": (LatexExtractionConfig(boxed_match_priority=-1, try_extract_without_anchor=False),),
    "last_number": (LatexExtractionConfig(boxed_match_priority=-1), ExprExtractionConfig()),
}


def parse_gold(gold: str) -> list[Any]:
    r"""The gold answer as Math-Verify objects and their text; empty where it is no mathematics.

    A bare answer is read as LaTeX ("\\frac12", "(1, 2]", "20 $cm^2$"); a box, or words around dollars, are
    read like a response.
    """
    text = gold.strip()
    box = find_box(text)
    if box is None and "$" in text and re.search("[A-Za-z]{2}", _DOLLARS.sub("", text)):
        found = _parse(text, _UNBOXED["last_number"])
    else:
        found = _parse_boxed(box or text)
    return found if any(not isinstance(item, str) for item in found) else []


def parse_response(response: str, unboxed: Unboxed) -> list[Any]:
    """The response's answer as Math-Verify objects and their text; empty where none is found."""
    box = find_box(response)
    if box is not None:
        return _parse_boxed(box)
    if unboxed == "nothing":
        return []
    return _parse(response[-TAIL_CHARACTERS:], _UNBOXED[unboxed])


def judge(response: str, gold: str, *, unboxed: Unboxed, gold_first: bool) -> tuple[Outcome, str | None]:
    """The outcome for one response and the answer found in it, as text; without any time limit."""
    reference = _cached_gold(gold)
    if not reference:
        return "gold_unparsable", find_box(response)
    answer = parse_response(response, unboxed)
    if not answer:
        return "unparsable", None
    first, second = (list(reference), answer) if gold_first else (answer, list(reference))
    right = verify(first, second, timeout_seconds=None)
    extracted = find_box(response) or next((item for item in answer if isinstance(item, str)), None)
    return ("right" if right else "wrong"), extracted and extracted[:EXTRACTED_CHARACTERS]


@lru_cache(maxsize=256)
def _cached_gold(gold: str) -> tuple[Any, ...]:
    return tuple(parse_gold(gold))


def _parse_boxed(content: str) -> list[Any]:
    plain = _DOLLAR.sub("", content).strip().removesuffix(".")
    return _parse(rf"\boxed{{{plain}}}", _BOXED)


def _parse(text: str, extraction: tuple[Any, ...]) -> list[Any]:
    return parse(text, extraction_config=extraction, extraction_mode="first_match", parsing_timeout=None)


def limit_time(seconds: float, run: Callable[[], Any]) -> Any:
    """Run with the kernel's timers set; this process does not survive them."""
    signal.setitimer(signal.ITIMER_PROF, seconds)
    signal.setitimer(signal.ITIMER_REAL, 10 * seconds)
    try:
        return run()
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)


def main() -> None:
    """Serve until standard input ends."""
    settings = json.loads(sys.argv[1])
    seconds, unboxed, gold_first = settings["timeout_seconds"], settings["unboxed"], settings["gold_first"]
    logging.disable(logging.CRITICAL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the caller decides what Ctrl-C ends
    for number in (signal.SIGPROF, signal.SIGALRM):
        signal.signal(number, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, resource.getrlimit(resource.RLIMIT_AS)[1]))
    replies = sys.stdout
    sys.stdout = sys.stderr  # nothing that a library prints may look like a reply
    judge(r"It is $\boxed{\frac{1}{2} + x}$.", "0.5 + x", unboxed=unboxed, gold_first=gold_first)
    replies.write("ready\n")
    replies.flush()
    for line in sys.stdin:
        response, gold = json.loads(line)
        outcome = limit_time(
            seconds,
            lambda: judge(response, gold, unboxed=unboxed, gold_first=gold_first),  # noqa: B023
        )
        replies.write(json.dumps(outcome) + "\n")
        replies.flush()


if __name__ == "__main__":
    main()
