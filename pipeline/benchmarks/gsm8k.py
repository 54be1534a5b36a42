"""GSM8K, test split: 1,319 grade-school word problems (FACTS 2.4, 6)."""

from pipeline.benchmarks import BenchmarkEntry
from pipeline.datasets import FieldMap, HubSource, Origin

ENTRY = BenchmarkEntry(
    doc="Grade-school word problems; the gold answer follows ####.",
    origins={"main": Origin(hub=HubSource(name="openai/gsm8k", config="main", split="test"), rows=1_319)},
    fields=FieldMap(
        id=None, problem="question", answer="answer", gold="after_hashes", solution="answer", extra=()
    ),
    licence="MIT",
    cites="arXiv:2110.14168",
    gold_kind="number",
)
