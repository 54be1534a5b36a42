"""The synthetic arithmetic benchmark of P0: 400 expressions of 5 to 15 operations (FACTS 1.6).

The paper's generator was not published; ours states its distribution in pipeline/generators/arithmetic.
"""

from pipeline.benchmarks import BenchmarkEntry
from pipeline.datasets import FieldMap, Origin, SyntheticSource

ENTRY = BenchmarkEntry(
    doc="Integer arithmetic expressions with brackets whose intermediate results are all integers.",
    origins={"default": Origin(synthetic=SyntheticSource(generator="arithmetic", rows=400), rows=400)},
    fields=FieldMap(),
    licence="generated",
    cites="arXiv:2506.07712 section 4 and appendix",
    gold_kind="integer",
    prompt_hint="{problem}",
)
