"""open-deepscaler: what Open-RS keeps of DeepScaleR, 21,044 rows (FACTS 3.2)."""

from pipeline.datasets import DatasetEntry, FieldMap, HubSource, Origin

ENTRY = DatasetEntry(
    doc="DeepScaleR problems that Qwen2.5-Math-7B-Instruct does not solve.",
    origins={"default": Origin(hub=HubSource(name="knoveleng/open-deepscaler"), rows=21_044)},
    fields=FieldMap(id=None, missing="keep"),
    licence="MIT",
    cites="arXiv:2503.16219 section 2",
)
