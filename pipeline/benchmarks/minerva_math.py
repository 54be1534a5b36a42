"""Minerva: 272 undergraduate problems of MIT; the gold is the solution's last box (FACTS 3.5, 6).

Three golds in the notation of code are written as LaTeX; four that Math-Verify cannot read (a derivative,
indexed energies) are compared as text.
"""

from pipeline.benchmarks import BenchmarkEntry
from pipeline.datasets import FieldMap, HubSource, Origin

ENTRY = BenchmarkEntry(
    doc="Undergraduate science and mathematics, quantities and formulas.",
    origins={"default": Origin(hub=HubSource(name="knoveleng/Minerva-Math"), rows=272)},
    fields=FieldMap(
        id=None,
        answer="solution",
        gold="last_boxed",
        golds={"np.arcsin(10/13)": r"\arcsin(10/13)", "-1./3": "-1/3", "-3./2": "-3/2"},
        solution="solution",
        extra=("type?",),
    ),
    licence="see the data set card",
    cites="arXiv:2206.14858; arXiv:2503.16219 section 3",
    text_answers=(
        r"\frac{dM}{dt}=\frac{10^{5} L_{\odot}}{0.007 c^{2} M_{\odot}^{6}} M^{6}",
        r"\hbar \omega(v+1 / 2)-\frac{E_{0}^{2} e^{2}}{2 m \omega^{2}}",
        r"\frac{1}{3} E_{1}+\frac{2}{3} E_{2}",
        r"E_{1},E_{2}",
    ),
    notes=("units usually stand outside the box and are not part of the gold",),
)
