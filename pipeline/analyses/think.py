"""Does a model still think, and on how many of its tokens? The two statistics of P1's think-vanish.

P1 (arXiv:2506.10446) counts the responses that contain a think block, and thinking tokens over response tokens.
Some chat templates prefill the opening tag, so that a response may show only the closing one: both are
reported, and the block is what comes before the first </think> (FACTS 2.6). Tokens are those of the policy's own
tokenizer on the text of the block, over those on the text of the whole response; the characters of the same
block are in `layout`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pipeline.analyses._thinking import CLOSING, OPENING, find_thinking
from pipeline.fingerprint import Config

NAME = "think"
SOURCE = "think-vanish of P1 (arXiv:2506.10446); FACTS 2.6, 2.7 C1.8"
DOC = "Think blocks and the share of response tokens that is thinking, counted by the policy's tokenizer."
COLUMNS = {
    "has_think_block": "whether there is text before </think> (the opening tag may be prefilled)",
    "has_open_tag": "whether <think> occurs: never, where the template prefills it",
    "has_close_tag": "whether </think> occurs",
    "cot_tokens": "tokens of the block, tags excluded; 0 without one",
    "cot_token_share": "those over the tokens of the whole response; 0 without a block",
}
NEEDS_TOKENIZER = True


class Params(Config):
    """None."""


def measure(
    responses: Sequence[str], params: Params, *, count_tokens: Callable[[Sequence[str]], list[int]]
) -> dict[str, list[float] | list[bool]]:
    """Tags and tokens of each response; `count_tokens` counts those of some texts."""
    thoughts = [find_thinking(text) for text in responses]
    thinking, whole = count_tokens(thoughts), count_tokens(responses)
    return {
        "has_think_block": [bool(thought.strip()) for thought in thoughts],
        "has_open_tag": [OPENING in text for text in responses],
        "has_close_tag": [CLOSING in text for text in responses],
        "cot_tokens": [float(count) for count in thinking],
        "cot_token_share": [
            part / total if part else 0.0 for part, total in zip(thinking, whole, strict=True)
        ],
    }
