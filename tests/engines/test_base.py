"""Stage base: tiny policies, local folders, the Hub's cache; and what load_policy refuses."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import polars as pl
import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import load_file
from tokenizers import AddedToken

from pipeline.engines.base import run as obtain
from pipeline.engines.policy.folder import load_policy
from pipeline.engines.policy.tiny import build_tokenizer
from pipeline.engines.synthesis.compression import Compressor, join_words
from pipeline.errors import InputError, RefusedError
from pipeline.generators import arithmetic, chains
from pipeline.stages import base
from pipeline.stages.source import digest_path
from pipeline.store.job import Job

SHAPE = {"hidden_size": 16, "layers": 1, "heads": 2, "intermediate_size": 32, "max_positions": 256}


def run_base(folder: Path, seed: int = 0, data: tuple[Path, ...] = (), **source) -> dict:
    job = Job(
        key="k",
        stage="base",
        config=base.StartConfig(**source),
        seed=seed,
        inputs={"data": data},
        folder=folder,
    )
    folder.mkdir(parents=True, exist_ok=True)
    return obtain(job)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("tiny")
    run_base(folder, tiny=base.TinyModel(**SHAPE))
    return folder / "model"


@pytest.fixture
def copy(tiny, tmp_path) -> Path:
    return Path(shutil.copytree(tiny, tmp_path / "copy"))


@pytest.mark.parametrize("initializer_range", [0.02, 0.08])
def test_random_weights_have_the_deviation_that_was_asked_for(tmp_path, initializer_range):
    run_base(
        tmp_path, tiny=base.TinyModel(**{**SHAPE, "hidden_size": 64}, initializer_range=initializer_range)
    )
    weights = load_file(tmp_path / "model" / "model.safetensors")
    for name in ("model.embed_tokens.weight", "model.layers.0.mlp.up_proj.weight"):
        assert weights[name].std().item() == pytest.approx(initializer_range, rel=0.05)


def test_exactly_one_source_is_taken():
    for given in ({}, {"tiny": base.TinyModel(), "local": base.LocalModel(digest="0", path="p")}):
        with pytest.raises(ValidationError, match="exactly one"):
            base.StartConfig(**given)


def test_where_a_local_model_lies_is_not_its_identity():
    here, there = (base.StartConfig(local=base.LocalModel(digest="d", path=path)) for path in ("/a", "/b"))
    assert here.identity() == there.identity()


def test_saved_tokenizers_give_every_text_back(tiny):
    _, tokenizer = load_policy(tiny)
    rows = [
        *chains.generate(chains.Params(style="long", rechecks=2), 50, 0),
        *chains.generate(chains.Params(), 50, 0),
        *arithmetic.generate(arithmetic.Params(), 50, 0),
    ]
    texts = [row[field] for row in rows for field in ("problem", "solution")]
    texts += ["".join(map(chr, range(32, 127))), "tab\tnew\r\nline", "naïve 東京 🙂", "", " ", "007 100"]
    for text in texts:
        assert tokenizer.decode(tokenizer(text)["input_ids"]) == text
        assert tokenizer(text)["input_ids"] == build_tokenizer()(text)["input_ids"]


def test_tags_of_thinking_are_single_tokens_where_they_are_asked_for(tmp_path):
    run_base(tmp_path, tiny=base.TinyModel(**SHAPE, tokenizer="tags"))
    _, tokenizer = load_policy(tmp_path / "model")
    text = "<think>\n1+2=3\n</think>\n"
    assert tokenizer.tokenize(text)[0] == "<think>" and "</think>" in tokenizer.tokenize(text)
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text
    assert len(tokenizer) == len(build_tokenizer()) + 2


def test_phrases_are_single_tokens_and_markers_cannot_be_confused_with_text(tiny):
    _, tokenizer = load_policy(tiny)
    assert tokenizer.tokenize("Wait, let me recheck: 12-5=7") == [
        "Wait, let me recheck: ",
        "12",
        "-",
        "5",
        "=",
        "7",
    ]
    messages = [{"role": "system", "content": "s"}, {"role": "user", "content": "u"}]
    text = tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
    assert text == "<|system|>s<|end|><|user|>u<|end|><|assistant|>"
    assert tokenizer.apply_chat_template(messages, tokenize=True)["input_ids"][
        0
    ] == tokenizer.convert_tokens_to_ids("<|system|>")


def test_random_weights_follow_from_the_seed(tiny, tmp_path):
    run_base(tmp_path / "same", tiny=base.TinyModel(**SHAPE))
    run_base(tmp_path / "other", seed=1, tiny=base.TinyModel(**SHAPE))
    weights = [
        load_file(path / "model.safetensors")
        for path in (tiny, tmp_path / "same/model", tmp_path / "other/model")
    ]
    name = "model.embed_tokens.weight"
    assert torch.equal(weights[0][name], weights[1][name])
    assert not torch.equal(weights[0][name], weights[2][name])


def test_a_tiny_classifier_rates_the_tokens_of_its_tokenizer_and_is_no_policy(tmp_path):
    facts = run_base(tmp_path / "one", tiny=base.TinyModel(**SHAPE, kind="token_classification"))
    run_base(tmp_path / "same", tiny=base.TinyModel(**SHAPE, kind="token_classification"))
    text = "5+3=8\n8-2=6\nThe answer is \\boxed{6}"
    one, same = (
        Compressor(tmp_path / name / "model", precision="fp32", gpus=0, batch_size=2)
        for name in ("one", "same")
    )
    (words,), (again,) = one.rate([text]), same.rate([text])
    assert words == again and join_words(words) == " ".join(text.split())
    assert 0 < facts["parameters"] < 30_000 and len({word.probability for word in words}) > 3
    assert one.count_tokens(text) == len(build_tokenizer()(text)["input_ids"])
    with pytest.raises(InputError, match="weights are missing"):
        load_policy(tmp_path / "one" / "model")


def test_a_tiny_classifier_has_no_phases():
    with pytest.raises(ValidationError, match="a tiny classifier stays random"):
        base.TinyModel(kind="token_classification", phases=(base.Phase(data=(0,)),))


def write_rows(folder: Path, rows) -> Path:
    folder.mkdir()
    pl.DataFrame(list(rows)).write_parquet(folder / "rows.parquet")
    return folder


def test_phases_train_on_the_inputs_that_they_name(tmp_path):
    data = tuple(
        write_rows(tmp_path / style, chains.generate(chains.Params(style=style), 24, 0))
        for style in ("short", "long")
    )
    phases = (base.Phase(data=(0, 1), batch_size=8), base.Phase(data=(1,), batch_size=8, epochs=2))
    config = base.TinyModel(**SHAPE, phases=phases)
    facts = run_base(tmp_path / "out", data=data, tiny=config)
    assert facts["phase_0_loss"] > facts["phase_1_loss"] * 0.5
    assert facts["pretraining_tokens"] > 0
    log = pl.read_parquet(tmp_path / "out/log.parquet").filter(pl.col("metric") == "loss")
    assert log["step"].to_list() == list(range(1, 13))
    load_policy(tmp_path / "out/model")


@pytest.mark.parametrize(("loss_on", "learns_problem"), [("completion", False), ("all", True)])
def test_a_phase_learns_problems_only_where_they_carry_loss(tmp_path, loss_on, learns_problem):
    row = {"id": "a", "problem": "What is 1?", "answer": "1", "solution": "2"}
    data = write_rows(tmp_path / "data", [row | {"id": f"a{i}"} for i in range(8)])
    phase = base.Phase(data=(0,), batch_size=8, epochs=60, learning_rate=1e-2, loss_on=loss_on)
    run_base(tmp_path / "out", data=(data,), tiny=base.TinyModel(**SHAPE, phases=(phase,)))
    model, tokenizer = load_policy(tmp_path / "out/model")
    ids = tokenizer("<|user|>What is 1?", return_tensors="pt")["input_ids"]
    guessed = model(ids).logits[0, :-1].argmax(-1).tolist()
    assert (guessed == ids[0, 1:].tolist()) is learns_problem


def test_a_phase_that_names_missing_data_is_refused(tmp_path):
    with pytest.raises(InputError, match="data input 1"):
        run_base(tmp_path, tiny=base.TinyModel(phases=(base.Phase(data=(1,)),)))


def test_a_local_folder_is_copied_once_its_digest_agrees(tiny, copy, tmp_path):
    source = base.LocalModel(digest=digest_path(copy), path=str(copy))
    facts = run_base(tmp_path / "out", local=source)
    assert facts["architecture"] == "qwen2"
    assert (tmp_path / "out/model/model.safetensors").read_bytes() == (
        tiny / "model.safetensors"
    ).read_bytes()
    load_policy(tmp_path / "out/model")
    (copy / "config.json").write_text((copy / "config.json").read_text() + "\n")
    with pytest.raises(InputError, match="has changed since it was planned"):
        run_base(tmp_path / "again", local=source)


@pytest.fixture
def hub_cache(tiny, tmp_path, monkeypatch) -> str:
    """The tiny policy as one commit in a cache of the Hub's format, and the network switched off."""
    commit, repository = "a" * 40, tmp_path / "hub" / "models--somebody--tiny"
    (repository / "blobs").mkdir(parents=True)
    snapshot = repository / "snapshots" / commit
    snapshot.mkdir(parents=True)
    for path in tiny.iterdir():
        blob = repository / "blobs" / hashlib.sha256(path.read_bytes()).hexdigest()
        shutil.copyfile(path, blob)
        (snapshot / path.name).symlink_to(f"../../blobs/{blob.name}")
    (snapshot / "pytorch_model.bin").write_bytes(b"never taken")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    return commit


def test_a_pinned_hub_model_comes_from_the_cache_when_offline(hub_cache, tmp_path):
    facts = run_base(tmp_path / "out", hub=base.HubModel(name="somebody/tiny", revision=hub_cache))
    assert facts["commit"] == hub_cache
    files = {path.name for path in (tmp_path / "out/model").iterdir()}
    assert {"model.safetensors", "tokenizer.json", "config.json"} <= files
    assert not any(name.endswith(".bin") for name in files)
    shutil.rmtree(tmp_path / "hub")
    load_policy(tmp_path / "out/model")


def test_a_hub_model_that_is_not_there_or_not_pinned_is_refused(hub_cache, tmp_path):
    with pytest.raises(InputError, match="cannot be downloaded"):
        run_base(tmp_path / "out", hub=base.HubModel(name="somebody/other", revision=hub_cache))
    with pytest.raises(RefusedError, match="not pinned"):
        run_base(tmp_path / "out", hub=base.HubModel(name="somebody/tiny", revision="unpinned"))


def edit_json(path: Path, **changes) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


DAMAGES = {
    "no such model folder": shutil.rmtree,
    "config.json is missing": lambda folder: (folder / "config.json").unlink(),
    "could run code": lambda folder: (folder / "model.safetensors").rename(folder / "pytorch_model.bin"),
    "weights cannot be loaded": lambda folder: (folder / "model.safetensors").write_bytes(
        b"\x10\0\0\0\0\0\0\0{"
    ),
    "no chat template": lambda folder: (folder / "chat_template.jinja").unlink(),
    "no EOS": lambda folder: edit_json(folder / "tokenizer_config.json", eos_token=None),
    "tokenizer cannot be loaded": lambda folder: (folder / "tokenizer.json").write_text("{"),
}


@pytest.mark.parametrize("message", DAMAGES)
def test_an_unusable_folder_is_refused_with_a_remedy(copy, message):
    DAMAGES[message](copy)
    with pytest.raises(InputError, match=message) as refused:
        load_policy(copy)
    assert refused.value.remedy


@pytest.mark.parametrize(
    ("token", "is_special", "template"), [("more", False, ""), ("<|more|>", True, "<|more|>")]
)
def test_a_tokenizer_that_needs_more_than_the_embedding_is_refused(
    copy, tmp_path, token, is_special, template
):
    _, tokenizer = load_policy(copy)
    tokenizer.add_tokens([AddedToken(token, special=is_special)])
    tokenizer.chat_template += template
    tokenizer.save_pretrained(copy)
    message = "only 361 rows and the tokenizer's token .*more.* is number 361"
    with pytest.raises(InputError, match=message):
        load_policy(copy)
    with pytest.raises(InputError, match=message):
        run_base(tmp_path / "out", local=base.LocalModel(digest=digest_path(copy), path=str(copy)))


def test_a_special_token_beyond_the_embedding_that_nobody_needs_is_none_of_a_text_model(copy, tmp_path):
    _, tokenizer = load_policy(copy)
    tokenizer.add_tokens([AddedToken("<image_soft_token>", special=True)])
    tokenizer.save_pretrained(copy)
    load_policy(copy)
    run_base(tmp_path / "out", local=base.LocalModel(digest=digest_path(copy), path=str(copy)))


def test_a_policy_without_a_chat_template_is_taken_where_none_is_needed(copy):
    (copy / "chat_template.jinja").unlink()
    load_policy(copy, chat_template=False)
