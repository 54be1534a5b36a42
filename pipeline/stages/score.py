"""Grade sampled responses against the gold answers: one row per response."""

from __future__ import annotations

from typing import Literal

from pipeline.fingerprint import Config, content, placement
from pipeline.stages import Counted, Stage


class ScoreConfig(Config):
    """Which grader decides, and how long one response may take it."""

    grader: Literal["math_verify", "by_kind"] = content(
        "math_verify",
        describe="math_verify: Math-Verify's reading; by_kind: each answer is read as what it is (a number, a time, an option, "
        "words, a list), algebra by Math-Verify.",
    )
    unboxed: Literal["last_number", "answer_phrase", "nothing"] = content(
        "last_number",
        describe="Where the answer is looked for without a box: LaTeX after 'answer is', or any number.",
    )
    truncated_is_wrong: bool = content(
        True,
        describe="A response cut at the limit is wrong (verdict `truncated`), whatever it says; "
        "false: its final box is graded, and only without one it is wrong.",
    )
    unreadable_gold: Literal["refuse", "compare_text"] = content(
        "refuse",
        describe="A gold answer that is no mathematics: stop and name the row, or compare it as text with "
        "the response's box (the facts count such responses). The golds that a benchmark of the catalogue "
        "lists as text are always compared so.",
    )
    timeout_seconds: float = content(
        5.0, describe="Processor seconds per response; beyond them: wrong, `timeout`.", gt=0
    )
    processes: int = placement(1, describe="Grading processes.", ge=1)


STAGE = Stage(
    name="score",
    version=2,
    config=ScoreConfig,
    produces="scores",
    follows="sample",
    summary="Grade responses against gold answers.",
    counted=Counted("n", "responses graded"),
    is_in_status=True,
)
