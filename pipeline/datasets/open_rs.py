"""open-rs: the 7,000 rows of Open-RS experiments 2 and 3 (FACTS 3.2).

3,000 of open-s1, 3,000 of open-deepscaler and 1,000 easy rows of DeepScaleR.
"""

from pipeline.datasets import DatasetEntry, FieldMap, HubSource, Origin

ENTRY = DatasetEntry(
    doc="The mixed-difficulty training set of Open-RS2 and Open-RS3.",
    origins={"default": Origin(hub=HubSource(name="knoveleng/open-rs", config="default"), rows=7_000)},
    fields=FieldMap(id=None, extra=("level",), missing="keep"),
    licence="MIT",
    cites="arXiv:2503.16219 section 2",
)
