"""Gaokao 2023 in English: 385 examination problems (FACTS 6).

Two rows come with a blank gold whose answer stands at the end of the problem ('Answer: A'): it is moved
from there, so that the model is not shown it and the row can be right.
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
        solution=None,
        extra=("source?", "sourcename?"),
    ),
    licence="see the data set card",
    cites="arXiv:2401.08190; arXiv:2601.05616",
)
