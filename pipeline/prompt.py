"""How a problem becomes a prompt: one definition for training, RL and measuring."""

from __future__ import annotations

from pydantic import field_validator

from pipeline.fingerprint import Config, content


class Prompt(Config):
    """A chat of an optional system message and one user message; the model's chat template wraps it."""

    system: str | None = content(None, describe="System message; none is sent when absent.")
    user: str = content("{problem}", describe="User message; {problem} is replaced by the problem's text.")

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
