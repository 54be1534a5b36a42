"""Gaokao 2023 in English: 385 examination problems (FACTS 6).

Two rows come with a blank gold whose answer stands at the end of the problem ('Answer: A'): it is moved
from there, so that the model is not shown it and the row can be right. One gold has a word left behind it;
three that Math-Verify cannot read (sets by their property, an order) are compared as text.
"""

from pipeline.benchmarks import BenchmarkEntry
from pipeline.datasets import FieldMap, HubSource, Origin

ENTRY = BenchmarkEntry(
    doc="Chinese university entrance examination 2023 and other 2023 papers, translated.",
    origins={"default": Origin(hub=HubSource(name="MARIO-Math-Reasoning/Gaokao2023-Math-En"), rows=385)},
    fields=FieldMap(
        id=None,
        problem="question",
        answer="answer",
        unwrap_math=True,
        gold_in_problem=True,
        golds={"$145$solution:": "145"},
        solution=None,
        extra=("source?", "sourcename?"),
    ),
    licence="see the data set card",
    text_answers=(r"\{x|-2\leq x < 1\}", r"\{x|x=3k,k\in \mathbb{Z}\}", "b > a > c"),
    cites="arXiv:2401.08190; arXiv:2601.05616",
)
