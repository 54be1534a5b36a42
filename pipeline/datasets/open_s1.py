"""open-s1: what Open-RS keeps of the s1 pool, 18,615 rows (FACTS 3.2)."""

from pipeline.datasets import DatasetEntry, FieldMap, HubSource, Origin

ENTRY = DatasetEntry(
    doc="Boxed s1 questions that R1-Distill-Qwen-1.5B does not solve, cleaned by a 7B model.",
    origins={"default": Origin(hub=HubSource(name="knoveleng/open-s1"), rows=18_615)},
    fields=FieldMap(id=None, missing="keep"),
    licence="MIT",
    cites="arXiv:2503.16219 section 2",
)
