"""What form responses have: boxed answers and closed thinking."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.analyses._thinking import find_thinking
from pipeline.fingerprint import Config
from pipeline.grading import find_box

NAME = "layout"
SOURCE = "think-vanish of P1 (arXiv:2506.10446); box of P2 (arXiv:2503.16219); FACTS 2.6, 2.7, 3.4"
DOC = "Shares of responses with a box, with closed thinking, and of the text that is thinking."
COLUMNS = {
    "boxed": "whether there is a non-empty closed box",
    "boxes": "how many boxes are opened",
    "thinks": "whether </think> occurs with text before it (the opening tag may be prefilled)",
    "thinking_share": "characters before </think> over all characters; 0 without thinking",
}


class Params(Config):
    """None."""


def measure(responses: Sequence[str], params: Params) -> dict[str, list[float] | list[bool]]:
    """Box and thinking of each response."""
    thoughts = [find_thinking(text) for text in responses]
    return {
        "boxed": [find_box(text) is not None for text in responses],
        "boxes": [float(text.count(r"\boxed{")) for text in responses],
        "thinks": [bool(thought.strip()) for thought in thoughts],
        "thinking_share": [
            len(t) / len(text) if t else 0.0 for t, text in zip(thoughts, responses, strict=True)
        ],
    }
