"""What trainings log: the quantities that training.COLUMN may name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

UnitKind = Literal["share", "tokens", "number", "efficiency"]
"""What the values of a metric are, and so how they are written."""


@dataclass(frozen=True)
class LoggedColumn:
    """A quantity that trainings log: which stages do, under which names (a pattern, matched whole), and in what unit."""

    stages: tuple[str, ...]
    logged_as: str
    title: str
    unit: UnitKind = "number"
    is_share: bool = False
    """Whether its values end at 1."""


LOGGED = {
    "reward": LoggedColumn(("rl",), r"reward", "reward"),
    "accuracy_reward": LoggedColumn(
        ("rl",), r"(rewards?/)?accuracy\w*(/mean)?", "accuracy reward", "share", is_share=True
    ),
    "tokens": LoggedColumn(
        ("rl",),
        r"(completions?/mean_length|completion_length|length)",
        "response length, tokens",
        "tokens",
    ),
    "truncated": LoggedColumn(
        ("rl",), r"(completions?/clipped_ratio|truncated|clip_ratio)", "cut-off share", "share", is_share=True
    ),
    "kl": LoggedColumn(("rl",), r"kl", "KL"),
    "loss": LoggedColumn(("sft", "rl"), r"loss", "loss"),
    "token_accuracy": LoggedColumn(("sft",), r"mean_token_accuracy", "token accuracy", is_share=True),
}
"""COLUMN of training.COLUMN → what it is."""
