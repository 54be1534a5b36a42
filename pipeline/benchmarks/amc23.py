"""AMC 12 2023 A and B, the 40 problems with integer answers (FACTS 6)."""

from pipeline.benchmarks import BenchmarkEntry
from pipeline.datasets import FieldMap, HubSource, Origin, RowCondition

ENTRY = BenchmarkEntry(
    doc="American Mathematics Competition 12, 2023, reworded to integer answers.",
    origins={
        "default": Origin(hub=HubSource(name="knoveleng/AMC-23"), rows=40),
        "aimo_validation": Origin(
            hub=HubSource(name="AI-MO/aimo-validation-amc"),
            rows=40,
            row_filter=(RowCondition(column="url", contains="/2023_AMC"),),
        ),
    },
    fields=FieldMap(answer="answer", gold="integer", solution=None, extra=("url?",)),
    licence="problems by the MAA; see the data set card",
    cites="arXiv:2506.07712 section 3; arXiv:2503.16219 section 3",
    notes=("answers are stored as floats (27.0) and become integers (27)",),
    gold_kind="integer",
)
