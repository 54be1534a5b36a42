"""What a reward is given: the rollouts of one call of TRL, with lengths, groups and correctness.

What TRL 1.16 passes (grpo_trainer._calculate_rewards): `completions`, decoded without special tokens;
`completion_ids`, lists that end with the first end-of-sequence token, or have none when the rollout was cut
at the limit; every column of the data set, repeated per rollout; and trainer_state, log_extra, log_metric,
which no reward here reads. Whether a rollout was cut is therefore known from its last token alone, so
rewards that ask want `eos_token_ids` at `build` (without them every rollout counts as finished); a rollout that
ends exactly at the limit counts as finished.

Groups are the rollouts of one call with the same prompt and the same gold answer; a call must hold whole
groups, which `group_size` (rollouts per prompt) checks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from pipeline.errors import InputError, StageError
from pipeline.fingerprint import Config, content
from pipeline.grading import Rule, Verdict, grade_once


class Graded(Config):
    """Parameters of every reward that grades: how long one rollout may take the grader."""

    timeout_seconds: float = content(5.0, describe="Processor seconds per rollout; beyond them: wrong.", gt=0)


@dataclass(frozen=True)
class Rollouts:
    """One call's rollouts; the i-th entry of every sequence belongs to the i-th rollout."""

    prompts: Sequence[Any]
    texts: tuple[str, ...]
    golds: tuple[str | None, ...] | None = None
    token_ids: Sequence[Sequence[int]] | None = None
    eos_token_ids: frozenset[int] = frozenset()
    group_size: int | None = None
    columns: dict[str, Any] = field(default_factory=dict)

    @cached_property
    def characters(self) -> tuple[int, ...]:
        """Length in characters of the decoded text."""
        return tuple(len(text) for text in self.texts)

    @cached_property
    def tokens(self) -> tuple[int, ...]:
        """Generated tokens, the end-of-sequence token included (as TRL, verl and DAPO count)."""
        if self.token_ids is None:
            raise InputError("a reward counts tokens, but was called without completion_ids", "Pass them.")
        return tuple(len(ids) for ids in self.token_ids)

    @cached_property
    def finished(self) -> tuple[bool, ...]:
        """Whether the rollout ended by itself (its last token ends a sequence); all, where no end is known."""
        if not self.eos_token_ids:
            return (True,) * len(self.texts)
        _ = self.tokens
        return tuple(bool(ids) and ids[-1] in self.eos_token_ids for ids in self.token_ids or ())

    @cached_property
    def tokens_before_end(self) -> tuple[int, ...]:
        """Generated tokens without the end-of-sequence token (as Arora & Zanette count)."""
        ends = self.eos_token_ids
        return tuple(len(ids) - bool(ids and ids[-1] in ends) for ids in self._ids)

    @property
    def _ids(self) -> Sequence[Sequence[int]]:
        _ = self.tokens  # refuses a call without completion_ids
        return self.token_ids or ()

    def grade(self, params: Graded, rule: Rule, texts: Sequence[str] | None = None) -> tuple[Verdict, ...]:
        """Verdicts of the rollouts (or of other texts in their place); a missing gold is gold_unparsable."""
        if self.golds is None:
            raise InputError(
                "a reward that grades was called without gold answers",
                "The data set needs a column 'answer'.",
            )
        pairs = tuple(
            (text, "" if gold is None else str(gold))
            for text, gold in zip(texts or self.texts, self.golds, strict=True)
        )
        return grade_once(pairs, params.timeout_seconds, rule)

    def correct(self, params: Graded, rule: Rule | None = None) -> list[bool | None]:
        """Whether each rollout is right; None where its gold answer is no mathematics (TRL skips it)."""
        verdicts = self.grade(params, rule or BOXED_FIRST)
        return [None if v.verdict == "gold_unparsable" else v.correct for v in verdicts]

    @cached_property
    def groups(self) -> tuple[tuple[int, ...], ...]:
        """Indices of the rollouts of each prompt, in order of appearance."""
        golds = self.golds or (None,) * len(self.texts)
        members: dict[tuple[str, str], list[int]] = {}
        for i, (prompt, gold) in enumerate(zip(self.prompts, golds, strict=True)):
            members.setdefault((repr(prompt), repr(gold)), []).append(i)
        for group in members.values():
            if self.group_size and len(group) % self.group_size:
                raise StageError(
                    f"a reward over groups of {self.group_size} rollouts got {len(group)} of one prompt",
                    "Let every device hold whole groups: a micro-batch that is a multiple of `rollouts`.",
                )
        return tuple(tuple(group) for group in members.values())


BOXED_FIRST = Rule("last_number")
"""Last box, else answer phrase, else last number: the scorers of SimpleRL, Arora & Zanette, Qwen2.5-Math."""

LATEX_ONLY = Rule("answer_phrase")
"""Last box, else LaTeX after an answer phrase: open-r1 and TRL, which take no bare number."""


def text_of(completion: Any) -> str:
    """The text of a completion, conversational (the contents of its messages) or plain."""
    if isinstance(completion, str):
        return completion
    return "".join(message.get("content") or "" for message in completion)
