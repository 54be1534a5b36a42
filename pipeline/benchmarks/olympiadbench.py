"""OlympiadBench: the 675 English, text-only, open-ended mathematics problems (FACTS 3.5, 6)."""

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
        solution=None,
        extra=("subfield?", "is_multiple_answer?", "unit?", "answer_type?"),
    ),
    licence="MIT",
    cites="arXiv:2402.14008; arXiv:2503.16219 section 3",
)
