"""The tokenizer that a length cap names is part of what is planned: its commit, or its folder's content."""

import pytest

from pipeline.cli.pin import hub_names
from pipeline.errors import RefusedError
from pipeline.filters import FilterContext
from pipeline.filters.max_tokens import Params, _load
from pipeline.plan.compiled import compile_plan

SPEC = """\
study: capped
question: Does the cap hold?
data:
  chains:
    source: {{synthetic: chains, rows: 10, seed: 1}}
    filters: [{{max_tokens: {{tokens: 64, tokenizer: {tokenizer}}}}}]
factors:
  model: {{m: {{tiny: {{}}}}}}
  sft: {{all: {{data: chains, epochs: 1, batch_size: 2, learning_rate: 1e-3, max_length: 64}}}}
measure: {{arithmetic: {{samples: 1, max_new_tokens: 8}}}}
"""


def filter_config(folder, tokenizer, lock=""):
    spec = folder / "capped.yaml"
    spec.write_text(SPEC.format(tokenizer=tokenizer))
    (folder / "hub.lock.yaml").write_text(lock or "models: {}\n")
    plan = compile_plan([spec], results=folder / "results")
    return plan, next(settled.config for settled in plan.settled if settled.stage == "filter")


def test_a_hub_tokenizer_is_pinned_by_the_lock_file(tmp_path):
    plan, config = filter_config(tmp_path, "a/b")
    assert ("models", "a/b") in plan.unpinned and ("models", "a/b") in hub_names(plan)
    pinned, after = filter_config(tmp_path, "a/b", f'models: {{"a/b": "{"c" * 40}"}}\n')
    assert not pinned.unpinned and after.filters[0].params["revision"] == "c" * 40
    assert config.identity() != after.identity()


def test_a_tokenizer_folder_is_known_by_its_content_wherever_it_lies(tmp_path, monkeypatch):
    monkeypatch.setenv("STUDYC_CACHE", str(tmp_path / "cache"))
    for name, text in (("one", "{}"), ("moved", "{}"), ("other", "{ }")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "tokenizer.json").write_text(text)
    plan, one = filter_config(tmp_path, tmp_path / "one")
    moved, other = (filter_config(tmp_path, tmp_path / name)[1] for name in ("moved", "other"))
    assert not plan.unpinned and not hub_names(plan)
    assert one.identity() == moved.identity() != other.identity()
    assert list(one.folders.values()) == [str(tmp_path / "one")]


def test_an_unpinned_tokenizer_is_not_run():
    with pytest.raises(RefusedError, match="'a/b' is no folder and not pinned"):
        _load(Params(tokens=3, tokenizer="a/b"), FilterContext())
