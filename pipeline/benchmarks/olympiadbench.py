"""OlympiadBench: the 675 English, text-only, open-ended mathematics problems (FACTS 3.5, 6).

Two golds are written so that Math-Verify reads them. That of problem 1965 is a sentence, of which it reads
an expression: no response can equal it, and the row counts as wrong, as in other harnesses.
"""

from pipeline.benchmarks import BenchmarkEntry
from pipeline.datasets import FieldMap, HubSource, Origin

ENTRY = BenchmarkEntry(
    doc="Olympiad problems; some golds are several values separated by commas.",
    origins={"default": Origin(hub=HubSource(name="knoveleng/OlympiadBench"), rows=675)},
    fields=FieldMap(
        problem="question",
        answer=("final_answer", "answer"),
        gold="first_of_list",
        unwrap_math=True,
        golds={r"m_{\max }=n^{2}-n-1": "n^{2}-n-1", "t(0,4]": "(0,4]"},
        solution=None,
        extra=("subfield?", "is_multiple_answer?", "unit?", "answer_type?"),
    ),
    licence="MIT",
    cites="arXiv:2402.14008; arXiv:2503.16219 section 3",
)
