"""TabMWP: word problems about a small table (FACTS 4); numbers, or one of a few choices.

The problem's text is put together as Qwen2.5-Math's harness does it, but for the choices, which it writes as a Python
list. Of the test split's 7,686 rows that harness takes the authors' 1,000; which these are, the hub does not say: a
study that wants so many cuts its own (`data: {tabmwp: {source: {benchmark: tabmwp}, rows: 1_000}}`).
Choices are words, which Math-Verify compares by their letters, not by their order.
"""

from pipeline.benchmarks import BenchmarkEntry
from pipeline.datasets import FieldMap, HubSource, Origin

ENTRY = BenchmarkEntry(
    doc="Grade-school word problems about a table, test split.",
    origins={"default": Origin(hub=HubSource(name="Arietem/tabmwp"))},
    fields=FieldMap(
        id=None,
        template='Read the following table [[regarding "{table_title}" ]]and answer a question:\n{table}\n{question}'
        "[[ Please select from the following options: {choices}]]",
        answer="answer",
        solution="solution?",
        extra=("ques_type?", "ans_type?", "grade?"),
    ),
    licence="CC BY-NC-SA 4.0",
    cites="arXiv:2209.14610; arXiv:2601.05616 (1,000 problems as in Qwen2.5-Math)",
    gold_kind="latex",
)
