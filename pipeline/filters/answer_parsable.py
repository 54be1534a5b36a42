"""Keep rows whose gold answer the grader can read and finds equal to itself.

A gold that the grader cannot read, or that a response repeating it word for word would not match, can
never earn a reward or a right score. The grader is the one of measuring and rewards.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.filters import FilterContext, judge_batches, need_text
from pipeline.fingerprint import Config, content

if TYPE_CHECKING:
    import polars as pl

DOC = "Keep rows whose gold answer the grader reads and finds equal to itself."

REASONS = {
    "gold_unparsable": "answer is no mathematics to the grader",
    "unparsable": "answer cannot be read from a box",
    "wrong": "answer is not equal to itself",
    "timeout": "answer takes the grader too long",
}


class Params(Config):
    """How long the grader may take."""

    timeout_seconds: float = content(5.0, describe="Processor seconds per answer before its row goes.", gt=0)


def judge(rows: pl.LazyFrame, params: Params, context: FilterContext) -> pl.DataFrame:
    """Drop rows without an answer and those whose answer, boxed, is not graded right."""
    from pipeline.grading import Grader

    need_text(rows, "answer", "answer_parsable")
    with Grader(params.timeout_seconds, context.processes) as grader:

        def reasons(batch: pl.DataFrame) -> list[str | None]:
            answers = batch["answer"].to_list()
            verdicts = iter(grader.grade([(f"\\boxed{{{gold}}}", gold) for gold in answers if gold]))
            return ["no answer" if not gold else REASONS.get(next(verdicts).verdict) for gold in answers]

        return judge_batches(rows, ("answer",), reasons, context)
