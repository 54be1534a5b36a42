"""Where the thinking of a response lies: one rule for every analysis that looks at it."""

from __future__ import annotations

OPENING, CLOSING = "<think>", "</think>"


def find_thinking(text: str) -> str:
    """The text before the first </think>, without an opening tag at its start; "" where none is closed.

    The opening tag may be missing, because some chat templates prefill it (FACTS 2, template hazard).
    """
    before, tag, _ = text.partition(CLOSING)
    return before.removeprefix(OPENING) if tag else ""
