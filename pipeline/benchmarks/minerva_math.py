"""Minerva: 272 undergraduate problems of MIT; the gold is the solution's last box (FACTS 3.5, 6)."""

from pipeline.benchmarks import BenchmarkEntry
from pipeline.datasets import FieldMap, HubSource, Origin

ENTRY = BenchmarkEntry(
    doc="Undergraduate science and mathematics, quantities and formulas.",
    origins={"default": Origin(hub=HubSource(name="knoveleng/Minerva-Math"), rows=272)},
    fields=FieldMap(id=None, answer="solution", gold="last_boxed", solution="solution", extra=("type?",)),
    licence="see the data set card",
    cites="arXiv:2206.14858; arXiv:2503.16219 section 3",
    notes=("units usually stand outside the box and are not part of the gold",),
)
