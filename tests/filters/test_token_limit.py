"""Counting less must not change the answer: the limit against whole texts, on tokenizers of every known kind."""

import json
import random
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers

from pipeline.filters import _token_limit as token_limit
from pipeline.filters._token_counts import PATTERNS, in_python, is_byte_level, known_pattern, usual_characters
from pipeline.filters._token_limit import TokenLimit

WORDS = [
    "the",
    "sum",
    "of",
    "two",
    "Numbers",
    "is",
    "",
    "x+1",
    "\n\n",
    "we'll",
    "it's",
    "DON'T",
    "12345",
    "3.14",
    "\\frac{1}{2}",
    "$y$",
    "≤",
    "π",
    "é",
    "é",
    "...\n",
    ",\t",
    "<think>",
    "café",
    "naïve",
    "数学",
    "--",
    "(a)",
    "'S",
    "\r\n",
    "  ",
    "x\n",
    "\n\n   y",
    "𝑥",
    "≤\u2003",
    "数。",
    "",
    "",
    "\x0c",
    "\xa0",
    "ﬁ",
]


class Wrapped:
    """What the limit needs of a tokenizer of transformers."""

    def __init__(self, pre_tokenizer, normalizer=None, special=("<think>",)):
        built = Tokenizer(models.BPE())
        built.pre_tokenizer = pre_tokenizer
        if normalizer is not None:
            built.normalizer = normalizer
        alphabet = pre_tokenizers.ByteLevel.alphabet()
        trainer = trainers.BpeTrainer(
            vocab_size=420, initial_alphabet=alphabet, show_progress=False, special_tokens=list(special)
        )
        draw = random.Random(0)
        built.train_from_iterator((" ".join(draw.choices(WORDS, k=50)) for _ in range(50)), trainer)
        built.enable_truncation(5)
        built.enable_padding(length=3)
        self.backend_tokenizer = built

    def count(self, text):
        return len(self.backend_tokenizer.encode(text, add_special_tokens=False))


def split_by(pattern):
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    return pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(pattern), "isolated"), byte_level])


TOKENIZERS = {
    "gpt2": Wrapped(pre_tokenizers.ByteLevel(add_prefix_space=False)),
    **{
        f"pattern{i}": Wrapped(split_by(pattern), normalizers.NFC())
        for i, pattern in enumerate(PATTERNS)
    },
    "prefix": Wrapped(pre_tokenizers.ByteLevel(add_prefix_space=True)),
    "unknown": Wrapped(split_by(r"\s+|\S+"), normalizers.NFKC()),
}  # fmt: skip


@pytest.mark.parametrize("kind", TOKENIZERS)
@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10**6), words=st.integers(0, 120), limit=st.integers(1, 200), piece=st.integers(1, 60)
)
def test_the_answer_is_that_of_counting_the_whole_text(kind, seed, words, limit, piece):
    draw = random.Random(seed)
    texts = [" ".join(draw.choices(WORDS, k=words)), "".join(draw.choices(WORDS, k=words)), "a" * limit]
    token_limit.PIECE = piece
    tokenizer = TOKENIZERS[kind]
    found = TokenLimit(tokenizer, limit).exceeded(texts)
    assert found == [tokenizer.count(text) > limit for text in texts]


@pytest.mark.parametrize("kind", TOKENIZERS)
def test_counts_at_the_very_limit_are_exact(kind):
    draw = random.Random(7)
    text = " ".join(draw.choices(WORDS, k=900))
    limit = TokenLimit(TOKENIZERS[kind], 1)
    size = TOKENIZERS[kind].count(text)
    for at_most, over in ((size - 1, True), (size, False)):
        limit.limit = at_most
        assert limit.exceeded([text]) == [over]


def test_only_tokenizers_that_are_known_to_allow_it_are_cut():
    kinds = {name: json.loads(one.backend_tokenizer.to_str()) for name, one in TOKENIZERS.items()}
    assert {name for name, one in kinds.items() if known_pattern(one)} == {*kinds} - {"prefix", "unknown"}
    assert {name for name, one in kinds.items() if is_byte_level(one)} == {*kinds} - {"prefix", "unknown"}
    spaced = Wrapped(pre_tokenizers.ByteLevel(add_prefix_space=False), special=("a b",))
    assert known_pattern(json.loads(spaced.backend_tokenizer.to_str())) is None


@pytest.mark.parametrize("pattern", PATTERNS)
def test_every_usual_character_is_split_as_the_tokenizer_splits_it(pattern):
    usual = re.findall(f"[{usual_characters().solid}]", "".join(map(chr, range(0x10000))))
    assert len(usual) > 40_000 and {"π", "≤", "é", "数", "½", "\u0301"} <= set(usual)
    assert not {"\u00a0", "\u2028", "\u3000", "\u017f", "\u212a", "\ue000"} & set(usual)
    split = pre_tokenizers.Split(Regex(pattern), "isolated")
    for start in range(0, len(usual), 500):
        text = "".join(
            f"a{sign}b {sign}1{sign}{sign} '{sign} +{sign}\n" for sign in usual[start : start + 500]
        )
        theirs = [part for part, _ in split.pre_tokenize_str(text)]
        assert re.findall(in_python(pattern), text, re.ASCII) == theirs
