"""SVAMP: 1,000 elementary word problems; the question follows a body (FACTS 6)."""

from pipeline.benchmarks import BenchmarkEntry
from pipeline.datasets import FieldMap, HubSource, Origin

ENTRY = BenchmarkEntry(
    doc="Elementary arithmetic word problems with varied structure (train and test splits together).",
    origins={"default": Origin(hub=HubSource(name="ChilleD/SVAMP", split="train+test"), rows=1_000)},
    fields=FieldMap(
        id="ID",
        problem="Question",
        body="Body",
        answer="Answer",
        gold="number",
        solution=None,
        extra=("Equation?", "Type?"),
    ),
    licence="MIT",
    cites="arXiv:2103.07191; arXiv:2601.05616 (1,000 problems as in Qwen2.5-Math)",
    gold_kind="number",
)
