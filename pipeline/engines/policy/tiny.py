"""Tiny policies from scratch: a Qwen2 architecture, and a tokenizer of words and bytes.

Guaranteed: the weights follow from the seed; every text can be encoded (single bytes are the fallback) and
decoded again unchanged, through AutoTokenizer too.
The tokenizer is Qwen2's own class, because AutoTokenizer rebuilds that one's pre-tokenizer for this
architecture whatever was saved; the words are added tokens, which survive.
"""

from __future__ import annotations

from typing import Any

from pipeline.stages.base import TinyModel

PAD, END, SYSTEM, USER, ASSISTANT = "<|pad|>", "<|end|>", "<|system|>", "<|user|>", "<|assistant|>"

TAGS = ("<think>", "</think>")

CHAT_TEMPLATE = (
    "{%- for message in messages -%}"
    "{{ '<|' + message['role'] + '|>' + message['content'] + '<|end|>' }}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{ '<|assistant|>' }}{%- endif -%}"
)


def build_tokenizer(kind: str = "words") -> Any:
    """Qwen2's tokenizer without merges: bytes, and as added tokens the generators' phrases and 10 to 99.

    Kind `questions` has the fixed lines of the judges' questions besides, kind `tags` those of thinking.
    """
    from tokenizers import AddedToken, pre_tokenizers
    from transformers import Qwen2Tokenizer

    from pipeline.generators.arithmetic import STEM
    from pipeline.generators.chains import PHRASES
    from pipeline.generators.judge_questions import phrases

    specials = [PAD, END, SYSTEM, USER, ASSISTANT]
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Qwen2Tokenizer(
        vocab={token: index for index, token in enumerate([*specials, *alphabet])},
        merges=[],
        unk_token=None,  # type: ignore[arg-type]  # annotated as str; None is what says that bytes leave nothing unknown
        pad_token=PAD,
        eos_token=END,
        extra_special_tokens=[SYSTEM, USER, ASSISTANT],
        clean_up_tokenization_spaces=False,
    )
    words = [word for word in (*PHRASES, STEM) if len(word) > 1] + [str(number) for number in range(10, 100)]
    words += {"words": (), "questions": phrases(), "tags": TAGS}[kind]
    tokenizer.add_tokens([AddedToken(word, normalized=False, special=False) for word in words])
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer


def build_model(config: TinyModel, vocabulary: int, tokenizer: Any, *, seed: int) -> Any:
    """A Qwen2 model whose random fp32 weights the seed decides; a causal one shares input and output embeddings."""
    import torch
    from transformers import Qwen2Config, Qwen2ForCausalLM, Qwen2ForTokenClassification

    torch.manual_seed(seed)
    architecture = Qwen2Config(
        vocab_size=vocabulary,
        hidden_size=config.hidden_size,
        num_hidden_layers=config.layers,
        num_attention_heads=config.heads,
        num_key_value_heads=config.kv_heads or config.heads,
        intermediate_size=config.intermediate_size,
        max_position_embeddings=config.max_positions,
        initializer_range=config.initializer_range,
        rope_parameters={"rope_type": "default", "rope_theta": config.rope_theta},
        tie_word_embeddings=config.kind == "causal",
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        bos_token_id=None,
    )
    if config.kind == "token_classification":
        architecture.num_labels = 2
        return Qwen2ForTokenClassification(architecture).float()
    return Qwen2ForCausalLM(architecture).float()
