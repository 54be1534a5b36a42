"""DeepScaleR-Preview: AIME, AMC, Omni-MATH and STILL problems with MATH train (FACTS 3.2).

A few rows have an empty answer; they are dropped and counted, so fewer rows than published remain.
"""

from pipeline.datasets import DatasetEntry, FieldMap, HubSource, Origin

ENTRY = DatasetEntry(
    doc="40k competition problems with short gold answers.",
    origins={"default": Origin(hub=HubSource(name="agentica-org/DeepScaleR-Preview-Dataset"))},
    fields=FieldMap(id=None, missing="drop"),
    licence="MIT",
    cites="data set card; arXiv:2503.16219 section 2 (40,315 rows before mapping)",
)
