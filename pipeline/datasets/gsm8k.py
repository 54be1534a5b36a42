"""GSM8K, training split: grade-school word problems, 7,473 rows (FACTS 2.1)."""

from pipeline.datasets import DatasetEntry, FieldMap, HubSource, Origin

ENTRY = DatasetEntry(
    doc="Grade-school word problems with worked solutions; the gold answer follows ####.",
    origins={"main": Origin(hub=HubSource(name="openai/gsm8k", config="main", split="train"), rows=7_473)},
    fields=FieldMap(id=None, problem="question", answer="answer", gold="after_hashes", solution="answer"),
    licence="MIT",
    cites="arXiv:2110.14168; arXiv:2506.10446 (3,200 of these train PLP)",
)
