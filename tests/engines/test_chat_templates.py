"""Chat templates in SFT: the loss falls on the response as the data has it, or the row is refused."""

from __future__ import annotations

import pytest

from pipeline.engines.policy.tiny import build_tokenizer
from pipeline.engines.training.examples import tokenize
from pipeline.errors import InputError
from pipeline.stages.sft import SftConfig

CONFIG = SftConfig(learning_rate=1e-3, epochs=1, batch_size=1, max_length=200)
KEPT = "{{ message['content'] }}"
R1 = (
    "{{ message['content'].split('</think>')[-1] if message['role'] == 'assistant' else message['content'] }}"
)
QWEN3 = """{%- if message['role'] == 'assistant' and '</think>' in message['content'] -%}
{{ '<think>\\n' + message['content'].split('</think>')[0].split('<think>')[-1].strip('\\n') + '\\n</think>\\n\\n'
   + message['content'].split('</think>')[-1].lstrip('\\n') }}
{%- else -%}{{ message['content'] }}{%- endif -%}"""
TRIMMED = "{{ message['content'] | trim }}"


def tokenizer_that_writes(content: str, *, opening: str = "<|assistant|>"):
    tokenizer = build_tokenizer("tags")
    tokenizer.chat_template = (
        "{%- for message in messages -%}{{ '<|' + message['role'] + '|>' }}" + content + "{{ '<|end|>' }}"
        "{%- endfor -%}{%- if add_generation_prompt -%}{{ '" + opening + "' }}{%- endif -%}"
    )  # fmt: skip
    return tokenizer


THOUGHT = "<think>\n1+1 is 2\n</think>\n\nIt is 2."


@pytest.mark.parametrize(
    ("content", "solution"),
    [(KEPT, THOUGHT), (QWEN3, THOUGHT), (TRIMMED, f"\n{THOUGHT}\n"), (R1, "It is 2."), (QWEN3, "It is 2.")],
)
def test_loss_falls_on_the_tokens_of_the_response_and_on_its_end(content, solution):
    tokenizer = tokenizer_that_writes(content)
    tokens = tokenize([("1+1?", solution)], tokenizer, CONFIG).dataset[0]
    trained = [token for token in tokens["labels"] if token != -100]
    assert tokenizer.decode(trained) == solution.strip() + "<|end|>"


def test_an_opening_tag_of_the_prompt_carries_no_loss():
    tokenizer = tokenizer_that_writes(KEPT, opening="<|assistant|><think>\\n")
    tokens = tokenize([("1+1?", THOUGHT)], tokenizer, CONFIG).dataset[0]
    trained = [token for token in tokens["labels"] if token != -100]
    assert tokenizer.decode(trained) == THOUGHT.removeprefix("<think>\n") + "<|end|>"


@pytest.mark.parametrize(
    ("content", "solution", "written"),
    [
        (R1, THOUGHT, "\n\nIt is 2."),
        (QWEN3, THOUGHT.replace("\n\nIt", " It"), "<think>"),
        (TRIMMED.replace("trim", "upper"), "It is 2.", "IT IS 2."),
        ("{{ message['content'] if message['role'] == 'user' else '' }}", "2", "<|end|>"),
    ],
)
def test_a_template_that_drops_or_rewrites_a_response_is_refused(content, solution, written):
    examples = [("1+1?", "It is 2"), ("2 and 2?", solution)]
    if content != R1:
        examples = examples[1:]
    with pytest.raises(InputError) as refused:
        tokenize(examples, tokenizer_that_writes(content), CONFIG)
    assert f"row {len(examples) - 1} ('2 and 2?')" in refused.value.what
    assert f"it writes {written!r}"[:-1] in refused.value.what
