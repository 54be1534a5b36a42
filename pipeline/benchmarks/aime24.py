"""AIME 2024 I and II: 30 problems, answers 0 to 999 (FACTS 6)."""

from pipeline.benchmarks import BenchmarkEntry
from pipeline.datasets import FieldMap, HubSource, Origin, RowCondition

ENTRY = BenchmarkEntry(
    doc="American Invitational Mathematics Examination 2024, both papers.",
    origins={
        "default": Origin(hub=HubSource(name="HuggingFaceH4/aime_2024"), rows=30),
        "aimo_validation": Origin(
            hub=HubSource(name="AI-MO/aimo-validation-aime"),
            rows=30,
            row_filter=(RowCondition(column="url", contains="2024_AIME"),),
        ),
    },
    fields=FieldMap(id="id", answer="answer", gold="integer", extra=("url?",)),
    licence="problems by the MAA; see the data set card",
    cites="arXiv:2506.07712 section 3; arXiv:2503.16219 section 3",
    notes=("aimo-validation-aime holds 90 rows of 2022 to 2024; the 30 of 2024 are kept",),
    gold_kind="integer",
)
