"""Let a policy answer, assess its answer, revise it once and sum up: two-turn self-correction.

Dual-phase's phase 1 (FACTS 4): question → first answer, self-assessment, revised answer, final summary, with
exactly one revision. The paper's prompts are not known; the wordings here are ours and ask for the behaviours
that it names (verification, backtracking, sub-goals, backward reasoning).
Guarantees: a turn depends on policy, protocol, the turns before it and its own seed, never on batches or on
what was done in one go; first answers are those of `sample` under the same seed; the model is loaded once for
all turns of all dialogues; a killed job resumes after its last shard. A dialogue cut at the limit of a turn or
of the context ends there and says so in `cut_in`.
Refuses: problems without id or text; dialogues that are all cut.
"""

from __future__ import annotations

from pydantic import field_validator

from pipeline.fingerprint import content
from pipeline.stages import Stage
from pipeline.stages.sample import SamplingConfig, place_sampling

ASSESS = (
    "Do not trust this solution yet. Verify every step: put the result back into the conditions of the problem, "
    "or work backward from it. Name the sub-goals that a solution must reach, and say which of them yours "
    "reaches. Where a step fails, say which one, and to which point one has to go back. Do not write a new "
    "solution in this message."
)
REVISE = (
    "Now solve the problem again in the light of your assessment. Keep what holds, backtrack to the last sound "
    "step where it does not, and take one sub-goal after the other. Put the final answer in \\boxed{}."
)
SUMMARISE = "Sum up the final solution in a few lines: the deciding steps, and the final answer in \\boxed{}."


class DialogueConfig(SamplingConfig):
    """The sampling protocol of every turn (`prompt` asks the question), and what the later turns ask."""

    samples: int = content(1, describe="Dialogues per problem.", ge=1)
    assess: str = content(ASSESS, describe="What asks for the self-assessment of the first answer.")
    revise: str = content(REVISE, describe="What asks for the revised answer.")
    summarise: str = content(SUMMARISE, describe="What asks for the final summary.")
    assess_tokens: int | None = content(
        None, describe="Tokens after which the assessment is cut; max_new_tokens when absent.", ge=1
    )
    revise_tokens: int | None = content(
        None, describe="Tokens after which the revised answer is cut; max_new_tokens when absent.", ge=1
    )
    summarise_tokens: int | None = content(
        None, describe="Tokens after which the summary is cut; max_new_tokens when absent.", ge=1
    )

    @field_validator("assess", "revise", "summarise")
    @classmethod
    def _says_something(cls, value: str) -> str:
        if not value.strip():
            raise ValueError("the text is empty, so the policy would be asked nothing")
        return value


STAGE = Stage(
    name="dialogue",
    version=2,
    config=DialogueConfig,
    produces="dialogues",
    follows="solve",
    summary="Let a policy answer, assess and revise itself.",
    place=place_sampling,
    imports_torch=True,
)
