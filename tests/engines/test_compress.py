"""Compressing chains of thought with a tiny token-classification model made by the test."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from pipeline.engines import compress
from pipeline.engines.base import run as obtain_base
from pipeline.engines.policy.folder import load_policy
from pipeline.engines.synthesis.compression import Compressor, force, join_words, keep_words, merge_words
from pipeline.errors import InputError, StageError
from pipeline.stages import base
from pipeline.stages.compress import CompressConfig
from pipeline.stages.source import digest_path
from pipeline.store.job import Job

CHAIN = "Step 1: we add 12+7 and get 19, then we\nsubtract 4. So the result must be 15, which is fine."
WORDS = [
    "we",
    "add",
    "and",
    "get",
    "then",
    "Step",
    "So",
    "the",
    "result",
    "must",
    "be",
    "which",
    "is",
    "fine",
]


def save_classifier(folder: Path, labels: int = 2, seed: int = 3) -> Path:
    """An XLM-RoBERTa of two small layers, with pieces for some words and all characters."""
    import torch
    from transformers import XLMRobertaConfig, XLMRobertaForTokenClassification, XLMRobertaTokenizer

    characters = sorted({chr(code) for code in range(33, 127)} | {"▁"})
    pieces = [("<s>", 0.0), ("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)]
    pieces += [(piece, -3.0) for piece in characters] + [(f"▁{word}", -1.0) for word in WORDS]
    tokenizer = XLMRobertaTokenizer(vocab=[*pieces, ("<mask>", 0.0)])
    torch.manual_seed(seed)
    config = XLMRobertaConfig(
        vocab_size=len(pieces) + 101, hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=32, max_position_embeddings=66, type_vocab_size=1, num_labels=labels,
        initializer_range=0.5,
    )  # fmt: skip
    model = XLMRobertaForTokenClassification(config)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def artifact(tmp_path_factory) -> Path:
    """The compressor as stage base publishes it."""
    source = save_classifier(tmp_path_factory.mktemp("source"))
    folder = tmp_path_factory.mktemp("compressor")
    local = base.LocalModel(digest=digest_path(source), path=str(source))
    obtain_base(Job("c", "base", base.StartConfig(local=local), 0, {}, folder))
    return folder


@pytest.fixture(scope="module")
def compressor(artifact) -> Compressor:
    return Compressor(artifact / "model", precision="fp32", gpus=0, batch_size=4)


def make_job(folder: Path, artifact: Path, n: int = 60, rows: pl.DataFrame | None = None, **changes) -> Job:
    source = folder / "rows"
    source.mkdir(parents=True, exist_ok=True)
    solutions = [f"{CHAIN} Number {i}.\n\nThe final answer is: $15$" for i in range(n)]
    made = pl.DataFrame({
        "id": [f"p{i}" for i in range(n)], "problem": [f"{i}?" for i in range(n)],
        "answer": ["15"] * n, "solution": solutions, "level": list(range(n)),
    })  # fmt: skip
    (made if rows is None else rows).write_parquet(source / "rows.parquet")
    target = folder / "job"
    target.mkdir(exist_ok=True)
    inputs = {"rows": (source,), "compressor": (artifact,)}
    return Job("compress-1", "compress", CompressConfig(**changes), 0, inputs, target)


def run(job: Job) -> tuple[pl.DataFrame, dict]:
    facts = compress.run(job)
    return pl.read_parquet(job.folder / "rows.parquet"), facts


def test_rows_are_shortened_at_a_rate_drawn_per_row(artifact, tmp_path):
    rows, facts = run(make_job(tmp_path, artifact))
    assert rows.columns == ["id", "problem", "answer", "solution", "level", "keep_rate"]
    assert facts["rows_in"] == facts["rows_out"] == 60 and facts["dropped"] == {}
    counts = Counter(rows["keep_rate"])
    assert set(counts) == {1.0, 0.9, 0.8, 0.7, 0.6, 0.5}
    assert {rate: part["rows"] for rate, part in facts["rates"].items()} == {
        f"{rate:g}": n for rate, n in counts.items()
    }
    for i, row in enumerate(rows.iter_rows(named=True)):
        chain, end = row["solution"].split("\n\nThe final answer is: ")
        assert end == r"$\boxed{15}$"
        whole = f"{CHAIN} Number {i}."
        if row["keep_rate"] == 1:
            assert (row["problem"], chain) == (f"{i}?", whole)
        else:
            assert row["problem"] == f"{i}?<|eot_id|>{row['keep_rate']:g}<|eot_id|>"
            assert len(chain) < len(whole)
    shares = [facts["rates"][rate]["kept_share"] for rate in ("0.5", "0.6", "0.7", "0.8", "0.9", "1")]
    assert shares == sorted(shares) and shares[-1] == 1
    assert all(
        abs(share - rate) < 0.1 for share, rate in zip(shares, (0.5, 0.6, 0.7, 0.8, 0.9, 1), strict=True)
    )


def test_rates_are_drawn_uniformly_by_seed_and_id():
    config = CompressConfig()
    rates = Counter(compress.draw_rate(f"p{i}", config) for i in range(6000))
    assert sum((n - 1000) ** 2 / 1000 for n in rates.values()) < 20.5, "p < 0.001 with 5 degrees of freedom"
    other = CompressConfig(seed=1, include_original=False)
    assert 1.0 not in {compress.draw_rate(f"p{i}", other) for i in range(100)}


def test_words_are_those_of_the_text_in_order(compressor):
    (words,) = compressor.rate([CHAIN])
    assert join_words(words) == " ".join(CHAIN.split())
    kept = keep_words(words, 0.5)
    remaining = iter(words)
    assert all(word in remaining for word in kept), "a subsequence"
    assert 0.35 < sum(w.tokens for w in kept) / sum(w.tokens for w in words) < 0.6


@settings(max_examples=50, deadline=None)
@given(text=st.text(alphabet="ab 1.,(\n²é", max_size=200))
def test_no_character_is_lost_or_added_whatever_the_text(compressor, text):
    (words,) = compressor.rate([text])
    assert "".join(word.text for word in words) == "".join(text.split())
    assert join_words(words) == " ".join(text.split())


def test_a_word_has_the_mean_of_its_tokens_and_a_mark_begins_a_word():
    text = " add 12+7"
    spans = [(0, 1), (1, 4), (4, 6), (6, 7), (7, 8), (8, 9)]
    words = merge_words(text, spans, [0.2, 0.4, 0.1, 0.3, 0.5, 0.9], 0)
    assert [(word.text, word.tokens, round(word.probability, 6)) for word in words] == [
        ("add", 2, 0.3),
        ("12", 2, 0.2),
        ("+7", 2, 0.7),
    ]


def test_digits_and_named_words_can_be_kept_whatever_the_model_says(compressor):
    (words,) = compressor.rate([CHAIN])
    for forced, digits in (((), True), (("Step", ":"), False)):
        kept = {w.text for w in keep_words(force(words, forced, digits=digits), 0.5, forced)}
        must = {
            w.text
            for w in words
            if any(f in w.text for f in forced) or (digits and any(map(str.isdigit, w.text)))
        }
        assert must and must <= kept
    twice = merge_words("a : b : c", [(0, 1), (1, 3), (3, 5), (5, 7), (7, 9)], [0.1, 0.1, 0.1, 0.1, 0.9], 0)
    assert join_words(keep_words(force(twice, (":",), digits=False), 0.5, (":",))) == ":"


def test_long_texts_are_rated_in_pieces_that_end_at_sentences(compressor):
    text = " ".join(f"{CHAIN}" for _ in range(6))
    (words,) = compressor.rate([text])
    assert join_words(words) == " ".join(text.split())
    pieces = [[w for w in words if w.piece == number] for number in sorted({w.piece for w in words})]
    assert len(pieces) > 5 and all(sum(w.tokens for w in piece) <= 62 for piece in pieces)
    assert sum(piece[-1].text.endswith(".") for piece in pieces) > len(pieces) / 2


def test_batches_never_change_what_is_kept(artifact, compressor):
    texts = [CHAIN[: 10 + 7 * i] for i in range(9)]
    alone = Compressor(artifact / "model", precision="fp32", gpus=0, batch_size=1).rate(texts)
    for ours, theirs in zip(compressor.rate(texts), alone, strict=True):
        assert [w.text for w in ours] == [w.text for w in theirs]
        assert [w.probability for w in ours] == pytest.approx([w.probability for w in theirs], abs=1e-5)


def test_chains_that_are_too_long_or_empty_are_counted(artifact, tmp_path):
    rows = pl.DataFrame({
        "id": ["a", "b", "c"], "problem": ["?"] * 3, "answer": ["1"] * 3,
        "solution": ["we add", "we add and " * 30, "\n\nThe final answer is: 1"],
    })  # fmt: skip
    found, facts = run(make_job(tmp_path, artifact, rows=rows, max_tokens=20))
    assert found["id"].to_list() == ["a"]
    assert facts["dropped"] == {"over 20 tokens": 1, "empty chain": 1}
    assert facts["dropped_examples"]["over 20 tokens"] == ["b"]
    with pytest.raises(StageError, match=r"no row is left of 2 \(1 × over 20 tokens, 1 × empty chain\)"):
        run(make_job(tmp_path / "none", artifact, rows=rows.tail(2), max_tokens=20))


def test_tokens_can_be_counted_by_the_policy_that_is_trained(artifact, guesser, tmp_path):
    job = make_job(tmp_path, artifact, n=3, max_tokens=100)
    assert run(job)[1]["rows_out"] == 3
    other = make_job(tmp_path / "policy", artifact, n=3, max_tokens=30)
    other.inputs["policy"] = (guesser,)
    with pytest.raises(StageError, match="3 × over 30 tokens"):
        run(other)


def test_a_killed_job_goes_on_after_its_last_part(artifact, tmp_path, monkeypatch):
    monkeypatch.setattr(compress, "PART_ROWS", 8)
    job = make_job(tmp_path, artifact, n=20)
    whole, _ = run(job)
    (job.folder / "rows.parquet").unlink()
    (job.work / "part-000000008.parquet").unlink()
    (job.work / "part-000000016.parquet").write_bytes(b"PAR1 torn")
    kept = (job.work / "part-000000000.parquet").stat().st_mtime_ns
    assert run(job)[0].equals(whole)
    assert (job.work / "part-000000000.parquet").stat().st_mtime_ns == kept


@pytest.mark.parametrize("column", ["solution", "answer"])
def test_rows_without_what_is_needed_are_named(artifact, tmp_path, column):
    job = make_job(tmp_path, artifact, n=3)
    path = job.one("rows") / "rows.parquet"
    rows = pl.read_parquet(path)
    rows.with_columns(pl.when(pl.col("id") != "p1").then(column).alias(column)).write_parquet(path)
    with pytest.raises(InputError, match=f"row 'p1' has no {column}"):
        run(job)
    rows.drop(column).write_parquet(path)
    with pytest.raises(InputError, match=f"column '{column}' is missing"):
        run(job)


def test_what_is_no_compressor_is_refused_and_a_compressor_is_no_policy(artifact, guesser, tmp_path):
    with pytest.raises(InputError, match=r"not a compressor|not a token-classification model"):
        Compressor(guesser / "model", precision="fp32", gpus=0, batch_size=1)
    many = save_classifier(tmp_path / "many", labels=5)
    with pytest.raises(InputError, match="5 labels"):
        Compressor(many, precision="fp32", gpus=0, batch_size=1)
    with pytest.raises(InputError, match="no chat template"):
        load_policy(artifact / "model")


def test_settings_that_cannot_work_are_refused_and_templates_are_filled_in_one_pass():
    for settings_ in (
        {"keep_rates": (1.0,)}, {"keep_rates": (0.5, 0.5)}, {"keep_rates": ()}, {"input": "{rate}"},
        {"target": "x"}, {"force_words": ("",)},
    ):  # fmt: skip
        with pytest.raises(ValidationError):
            CompressConfig(**settings_)
    config = CompressConfig()
    assert config.write_target("{answer}", "7") == "{answer}\n\nThe final answer is: $\\boxed{7}$"
    assert config.write_input("{rate}", 0.5) == "{rate}<|eot_id|>0.5<|eot_id|>"
