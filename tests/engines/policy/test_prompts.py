"""Prompts as tokens: the opening think tag of distilled models is a declared choice, not a template's accident."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.engines.policy.folder import encode_prompt, render_prompt
from pipeline.engines.tiny import build_tokenizer
from pipeline.prompt import Prompt


@pytest.fixture
def tokenizer():
    return build_tokenizer()


@pytest.fixture
def prefilling(tokenizer):
    """A template like the distilled models' of February 2025: the answer begins with the tag."""
    head, found, tail = tokenizer.chat_template.rpartition("{%- endif -%}")
    assert found
    tokenizer.chat_template = head + "{{ '<think>\\n' }}" + found + tail
    return tokenizer


@pytest.fixture
def dating(tokenizer):
    """A template like those of Llama 3.2, which write the date into every chat."""
    tokenizer.chat_template = "{{ 'Today: ' + strftime_now('%d %b %Y') + '\\n' }}" + tokenizer.chat_template
    return tokenizer


def _text(tokenizer, choice: str) -> str:
    prompt = Prompt(think_prefill=choice)
    return render_prompt(tokenizer, prompt, prompt.messages("1+1?"))


def test_a_prompt_is_what_the_template_says_unless_the_study_says_otherwise(tokenizer, prefilling) -> None:
    assert _text(prefilling, "as_template").endswith("<think>\n")
    assert "<think>" not in _text(prefilling, "never")
    assert _text(prefilling, "always") == _text(prefilling, "as_template")
    plain = build_tokenizer()
    assert _text(plain, "never") == _text(plain, "as_template")
    assert _text(plain, "always") == _text(plain, "as_template") + "<think>\n"


def test_encoded_prompts_are_the_templates_own_tokens(tokenizer) -> None:
    prompt = Prompt(system="Be brief.")
    messages = prompt.messages("2+2?")
    expected = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=False)
    assert list(encode_prompt(tokenizer, prompt, messages)) == list(expected)


def test_rollouts_begin_as_sampling_does(tokenizer, tmp_path: Path) -> None:
    from pipeline.engines.rl import _write_out
    from pipeline.stages.rl import RewardTerm, RlConfig

    config = RlConfig(
        algorithm="rloo", reward=(RewardTerm(name="accuracy"),), steps=1, prompts_per_step=1, max_new_tokens=4,
        learning_rate=1e-3, prompt=Prompt(think_prefill="always"),
    )  # fmt: skip
    messages = config.prompt.messages("3+3?")
    text = _write_out({"prompt": messages}, tokenizer, config)["prompt"]
    assert tokenizer(text)["input_ids"] == list(encode_prompt(tokenizer, config.prompt, messages))


def test_no_prompt_depends_on_the_day_on_which_it_is_made(dating) -> None:
    from pipeline.engines.sft import _encode

    prompt = Prompt()
    asked = list(encode_prompt(dating, prompt, prompt.messages("3+3?")))
    assert render_prompt(dating, prompt, prompt.messages("3+3?")).startswith("Today: 26 Jul 2024\n")
    ((trained, labels),) = _encode([("3+3?", "6")], dating, prompt, everything=False, first=0)
    assert trained[: len(asked)] == asked and set(labels[: len(asked)]) == {-100}


def test_a_judge_is_asked_the_same_question_tomorrow(dating, tmp_path: Path) -> None:
    from pipeline.engines.judging.policy import PolicyJudge
    from pipeline.engines.judging.replies import Question
    from pipeline.engines.policy.folder import save_policy
    from pipeline.engines.tiny import build_model
    from pipeline.stages.base import TinyModel
    from pipeline.stages.judge import JudgeConfig

    save_policy(build_model(TinyModel(), len(dating), dating, seed=1), dating, tmp_path / "model")
    judge = PolicyJudge(
        tmp_path, JudgeConfig(judge="reflection", engine="transformers", max_new_tokens=4), tmp_path
    )
    messages = tuple(Prompt().messages("3+3?"))
    request = judge._request(0, Question(("p", 0), 0, messages, 1))
    assert request.prompt_ids == encode_prompt(dating, Prompt(), messages)
