"""SimpleRL-Zoo: GSM8K and MATH by difficulty, about 8k rows per folder (FACTS 1.4).

Configurations are the repository's folders without the prefix simplelr_: `qwen` holds chat prompts and
`abel` plain ones. We read only problem and answer, so both give the same rows; the prompt belongs to
the study. P0 trains 0.5B on level1to4 (medium) and 1.5B and 3B on level3to5 (hard).
Two level-5 problems come without a gold answer and are dropped.
"""

from pipeline.datasets import DatasetEntry, FieldMap, HubSource, Origin


def _origin(folder: str) -> Origin:
    return Origin(
        hub=HubSource(name="hkust-nlp/SimpleRL-Zoo-Data", files=(f"simplelr_{folder}/train.parquet",))
    )


ENTRY = DatasetEntry(
    doc="MATH and GSM8K training problems by difficulty: gsm8k_level1 (easy), level1to4, level3to5 (hard).",
    origins={
        f"{prompt}_{level}": _origin(f"{prompt}_{level}")
        for prompt in ("qwen", "abel")
        for level in ("level1to4", "level3to5", "gsm8k_level1")
    },
    fields=FieldMap(
        id=None,
        problem=("question", "extra_info.question"),
        answer=("answer", "extra_info.answer", "reward_model.ground_truth"),
        solution=None,
        extra=("level?", "subject?", "extra_info.level?", "extra_info.subject?"),
        missing="drop",
    ),
    licence="Apache-2.0",
    cites="arXiv:2503.18892; arXiv:2506.07712 section 5",
    notes=("column names as read by public loaders of this set; both known layouts are accepted",),
)
