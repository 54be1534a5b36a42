"""Shorten each solution's chain of thought to a random share of its tokens, and say the share in the prompt.

TokenSkip's training data (FACTS 2.5): chains of at most 500 tokens; per row one of {original, the keep rates},
drawn uniformly; LLMLingua-2 (Pan et al., arXiv:2403.12968) rates each token, whole words are kept by the mean
of their tokens, above the quantile of the rate; the prompt ends in the rate, the original's in nothing; the
target is the shortened chain and the boxed gold answer. The rows should be right responses of the model that
is trained (`synthesise`).
The compressor is any token-classification model of two labels, of which 1 means keep: stage `base` fetches
`microsoft/llmlingua-2-xlm-roberta-large-meetingbank`. The library llmlingua (0.2.2) is not used: it downloads
a GPT tokenizer when it starts, allows remote code, and recognises models by their names. What differs from it:
shares are counted in the compressor's tokens, not GPT's; pieces begin and end with the model's own special
tokens (the library puts BERT's, which XLM-RoBERTa reads as unknown); words are cut from the text itself, and
forced ones need no made-up tokens. As there, line breaks become spaces.
Guarantees: a row's rate depends on seed and id only; kept words stay in order; a killed job resumes after its
last part. Refuses: rows without solution or answer, naming one. Rows dropped for a reason are counted.
"""

from __future__ import annotations

import re

from pydantic import field_validator, model_validator

from pipeline.fingerprint import Config, content, placement
from pipeline.stages import Placement, Stage
from pipeline.stages._training import Precision

_PLACE = re.compile(r"\{(problem|rate|cot|answer)\}")


class CompressConfig(Config):
    """Which shares of a chain are kept, and how prompt and target are written."""

    keep_rates: tuple[float, ...] = content(
        (0.9, 0.8, 0.7, 0.6, 0.5), describe="Shares of a chain's tokens, one drawn per row.", min_length=1
    )
    include_original: bool = content(True, describe="Also draw the whole chain (rate 1).")
    max_tokens: int | None = content(
        500, describe="Longest chain, in tokens of input `policy` (else of the compressor).", ge=1
    )
    chain_ends: str | None = content(
        "\n\nThe final answer is:", describe="The chain is what stands before this text; all without it."
    )
    input: str = content(
        "{problem}<|eot_id|>{rate}<|eot_id|>", describe="The prompt of a shortened row; {rate} is 0.5."
    )
    target: str = content("{cot}\n\nThe final answer is: $\\boxed{{answer}}$", describe="What is trained on.")
    force_words: tuple[str, ...] = content(
        (), describe="Texts that are always kept; directly repeated, once (TokenSkip for Llama: Step, :)."
    )
    force_digits: bool = content(False, describe="Always keep words with a digit (TokenSkip for Llama).")
    precision: Precision = content("fp32", describe="Precision of the compressor's weights.")
    seed: int = content(0, describe="Seed of the rates.", ge=0)

    gpus: int = placement(0, describe="0 compresses on the CPU, 1 on a GPU.", ge=0, le=1)
    batch_size: int = placement(32, describe="Pieces of up to 512 tokens rated at once.", ge=1)

    @field_validator("keep_rates")
    @classmethod
    def _between(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        if len(set(value)) < len(value) or not all(0 < rate < 1 for rate in value):
            raise ValueError("keep_rates must differ and lie between 0 and 1; include_original adds 1")
        return value

    @field_validator("force_words")
    @classmethod
    def _not_empty(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not all(word.strip() for word in value):
            raise ValueError("force_words holds an empty text")
        return value

    @model_validator(mode="after")
    def _templates(self) -> CompressConfig:
        for template, names in ((self.input, ("problem",)), (self.target, ("cot",))):
            for name in names:
                if f"{{{name}}}" not in template:
                    raise ValueError(f"the text {{{name}}} is missing in {template!r}")
        return self

    @property
    def rates(self) -> tuple[float, ...]:
        """What is drawn from."""
        return (1.0, *self.keep_rates) if self.include_original else self.keep_rates

    def write_input(self, problem: str, rate: float) -> str:
        """The prompt's text of a row at a rate; the original problem at 1."""
        return problem if rate == 1 else _fill(self.input, {"problem": problem, "rate": f"{rate:g}"})

    def write_target(self, chain: str, answer: str) -> str:
        """The response that is trained on."""
        return _fill(self.target, {"cot": chain, "answer": answer})


def _fill(template: str, values: dict[str, str]) -> str:
    """Insert values in one pass; braces in them, and places that have no value, stay as they are."""
    return _PLACE.sub(lambda found: values.get(found[1], found[0]), template)


STAGE = Stage(
    name="compress",
    version=1,
    config=CompressConfig,
    produces="dataset",
    follows="synthesise",
    summary="Shorten solutions with a compressor, at a random rate each.",
    place=lambda config: Placement(gpus=config.gpus),
    imports_torch=True,
)
