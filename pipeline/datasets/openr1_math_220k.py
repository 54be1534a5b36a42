"""OpenR1-Math-220k: NuminaMath-1.5 problems with two to four DeepSeek-R1 traces each (FACTS 1.2).

The human solution is left out on purpose: what is trained on is a trace, which the filter
`one_correct_trace` chooses; without that filter `solution` stays empty.
"""

from pipeline.datasets import DatasetEntry, FieldMap, HubSource, Origin

_NAME = "open-r1/OpenR1-Math-220k"

ENTRY = DatasetEntry(
    doc="Competition mathematics with verified DeepSeek-R1 traces; use with the filter one_correct_trace.",
    origins={
        "default": Origin(hub=HubSource(name=_NAME, config="default"), rows=93_733),
        "extended": Origin(hub=HubSource(name=_NAME, config="extended"), rows=131_396),
        "all": Origin(hub=HubSource(name=_NAME, config="all"), rows=225_129),
    },
    fields=FieldMap(
        id=None,
        solution=None,
        extra=(
            "uuid?",
            "source?",
            "problem_type?",
            "question_type?",
            "generations",
            "correctness_math_verify",
            "correctness_llama",
            "is_reasoning_complete",
            "finish_reasons?",
        ),
        missing="keep",
    ),
    licence="Apache-2.0",
    cites="data set card; arXiv:2506.07712 section 3",
    notes=("older revisions of `all` have the splits default and extended instead of train",),
)
