"""The pool behind s1, from which Open-RS filters open-s1 (FACTS 3.2).

58,986 of the 59,029 rows that the s1 paper counts. `solution` is a final answer or a whole solution;
the gold answer exists only where it holds a \\boxed{}, so filter with `contains` before RL.
"""

from pipeline.datasets import DatasetEntry, FieldMap, HubSource, Origin

ENTRY = DatasetEntry(
    doc="The 59K question pool of s1; questions from many sources with reference solutions.",
    origins={"default": Origin(hub=HubSource(name="simplescaling/data_ablation_full59K"), rows=58_986)},
    fields=FieldMap(
        id=None,
        problem="question",
        answer="solution",
        gold="last_boxed",
        solution="solution",
        extra=("cot_type?", "source_type?"),
        missing="keep",
    ),
    licence="not stated in the card read; Apache-2.0 for the s1 repository",
    cites="arXiv:2501.19393; arXiv:2503.16219 section 2",
)
