"""MATH, training split: 7,500 problems with levels 1 to 5; the gold answer is the last box."""

from pipeline.datasets import DatasetEntry, FieldMap, HubSource, Origin

ENTRY = DatasetEntry(
    doc="Hendrycks MATH, the original training split with worked solutions.",
    origins={
        "default": Origin(hub=HubSource(name="DigitalLearningGmbH/MATH-lighteval", split="train"), rows=7_500)
    },
    fields=FieldMap(
        id=None,
        answer="solution",
        gold="last_boxed",
        solution="solution",
        extra=("level", "type"),
        missing="drop",
    ),
    licence="MIT",
    cites="arXiv:2103.03874",
)
