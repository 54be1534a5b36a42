"""What shares a batch never matters: packed examples do not see each other, passes and partial batches are weighed alike."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
import torch
from safetensors.torch import load_file

from pipeline.engines import sft as sft_engine
from pipeline.engines.policy.folder import load_policy, save_policy
from pipeline.engines.policy.tiny import build_model, build_tokenizer
from pipeline.engines.training import sft
from pipeline.engines.training.examples import read_examples, tokenize
from pipeline.generators import chains
from pipeline.stages.base import TinyModel
from pipeline.stages.sft import SftConfig
from pipeline.store.job import Job

ROWS = 18
CONFIG = SftConfig(learning_rate=1e-3, epochs=2, batch_size=8, max_length=200, precision="fp32")


@pytest.fixture(scope="module")
def policy(tmp_path_factory) -> Path:
    """Weights so large that every token's logits depend on all tokens before it."""
    shape = TinyModel(hidden_size=16, layers=2, heads=2, intermediate_size=32, initializer_range=0.3)
    tokenizer = build_tokenizer()
    folder = tmp_path_factory.mktemp("policy") / "model"
    save_policy(build_model(shape, len(tokenizer), tokenizer, seed=1), tokenizer, folder)
    return folder


@pytest.fixture(scope="module")
def rows(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("data") / "rows.parquet"
    pl.DataFrame(chains.generate(chains.Params(), ROWS, 1)).write_parquet(path)
    return path


def test_packed_examples_do_not_see_each_other(policy, rows, tmp_path):
    model, tokenizer = load_policy(policy)
    config = CONFIG.model_copy(update={"packing": "isolated"})
    tokens = tokenize(read_examples(rows), tokenizer, config)
    options = sft.build_options(config, seed=1, output=tmp_path)
    trainer = sft._build_trainer(model, tokenizer, tokens, config, options, seed=1)
    assert len(trainer.train_dataset) < ROWS / 2, "several examples to a row"
    packed = next(iter(trainer.get_train_dataloader()))
    model.eval()
    with torch.no_grad():
        together = model(
            **{name: packed[name] for name in packed if name != "labels"}, use_cache=False
        ).logits[0]
        starts = (packed["position_ids"][0] == 0).nonzero().flatten().tolist()
        ends = [*starts[1:], packed["input_ids"].shape[1]]
        assert len(starts) > 4
        for start, end in zip(starts, ends, strict=True):
            alone = model(input_ids=packed["input_ids"][:, start:end], use_cache=False).logits[0]
            assert torch.allclose(together[start:end], alone, atol=1e-4)
        first = model(input_ids=packed["input_ids"][:, : ends[1]], use_cache=False).logits[0]
    assert not torch.allclose(together[: ends[1]], first, atol=1e-1), "the model does look back"


def train_on(folder: Path, policy: Path, rows: Path, **changes) -> dict[str, torch.Tensor]:
    folder.mkdir()
    config = CONFIG.model_copy(update=changes)
    sft_engine.train(Job("k", "sft", None, 3, {}, folder), config, policy=policy, rows=rows)
    return load_file(folder / "model" / "model.safetensors")


@pytest.mark.parametrize("micro_batch", [1, 4])
@pytest.mark.parametrize("bucketed", [False, True])
def test_a_partial_batch_at_the_end_of_an_epoch_weighs_its_tokens_alike_in_any_number_of_passes(
    policy, rows, tmp_path, micro_batch, bucketed
):
    start = load_file(policy / "model.safetensors")
    whole = train_on(tmp_path / "whole", policy, rows, bucket_by_length=bucketed)
    split = train_on(tmp_path / "split", policy, rows, bucket_by_length=bucketed, micro_batch=micro_batch)
    for name, weights in whole.items():
        moved = (weights - start[name]).abs().max()
        assert (split[name] - weights).abs().max() < 1e-2 * moved
