"""MATH-500: 500 problems of the MATH test split, LaTeX answers (FACTS 6)."""

from pipeline.benchmarks import BenchmarkEntry
from pipeline.datasets import FieldMap, HubSource, Origin

ENTRY = BenchmarkEntry(
    doc="A uniform sample of 500 problems of MATH's test split.",
    origins={"default": Origin(hub=HubSource(name="HuggingFaceH4/MATH-500", split="test"), rows=500)},
    fields=FieldMap(id="unique_id", extra=("subject", "level")),
    licence="MIT",
    cites="arXiv:2305.20050; arXiv:2103.03874",
)
