"""How a problem becomes a prompt: one definition for training, RL and measuring."""

from __future__ import annotations

import re
from typing import Literal

from pydantic import field_validator

from pipeline.fingerprint import Config, content

THINK = "<think>\n"
_THINK_AT_THE_END = re.compile(r"<think>\s*\Z")


class Prompt(Config):
    """A chat of an optional system message and one user message; the model's chat template wraps it."""

    system: str | None = content(None, describe="System message; none is sent when absent.")
    user: str = content("{problem}", describe="User message; {problem} is replaced by the problem's text.")

    think_prefill: Literal["as_template", "never", "always"] = content(
        "as_template",
        describe="Whether a prompt ends in '<think>': as the chat template has it (its revisions differ), never, "
        "or always. For sampling and rollouts; SFT trains on whole chats.",
    )

    @field_validator("user")
    @classmethod
    def _needs_the_problem(cls, value: str) -> str:
        if "{problem}" not in value:
            raise ValueError("the text {problem} is missing, so every prompt would be the same")
        return value

    def messages(self, problem: str) -> list[dict[str, str]]:
        """The chat messages for one problem (str.replace, so other braces stay as they are)."""
        system = [{"role": "system", "content": self.system}] if self.system is not None else []
        return [*system, {"role": "user", "content": self.user.replace("{problem}", problem)}]

    def opening(self, text: str) -> str:
        """A rendered prompt that ends with or without the opening tag, as `think_prefill` says."""
        if self.think_prefill == "as_template":
            return text
        bare = _THINK_AT_THE_END.sub("", text)
        return bare if self.think_prefill == "never" else bare + THINK
