"""P0's reflection ratio: a response reflects where the keywords AND a judge model say so.

The paper cross-validates the two detectors per response (arXiv:2506.07712, appendix B.4). Where the judge's reply
was unreadable, the conjunction is known only if the keywords say no; else it is null and left out of means.
The question-level ratio (any of the k samples reflects) is the maximum of `reflects` per problem. The keywords
alone, an upper bound, are the analysis `reflection_keywords`.
"""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.analyses import reflection_keywords
from pipeline.fingerprint import Config

NAME = "reflection"
SOURCE = "P0 (arXiv:2506.07712) appendix B.4; understand-r1-zero (commit dfca49d); FACTS 1.6"
DOC = "Reflection by keywords and by a judge model, both: P0's ratio. Declare it with {reflection: {judge: NAME}}."
COLUMNS = {
    "reflects": "whether keywords and judge both find reflection; null where the judge's missing word decides",
    "keyword": "whether a keyword occurs",
    "judged": "whether the judge finds reflection; null where its reply was unreadable",
}
NEEDS_JUDGE = "reflection"


class Params(Config):
    """None: pool and categories are the paper's."""


def measure(
    responses: Sequence[str], params: Params, *, verdicts: Sequence[bool | None]
) -> dict[str, list[bool | None]]:
    """Both detectors and their conjunction, per response."""
    keyword: list[bool | None] = [count > 0 for count in reflection_keywords.count_keywords(responses)]
    return {
        "reflects": [judged if found else False for found, judged in zip(keyword, verdicts, strict=True)],
        "keyword": keyword,
        "judged": list(verdicts),
    }
