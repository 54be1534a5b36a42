"""Whatever stands wherever in a spec, compiling it ends in a plan or in messages with a place, never in a traceback."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.errors import SpecErrors
from pipeline.locate import parse_yaml
from tests.support.studies import BASIC, compile_text

EXTRA = """
policies: {own: {of: {sft: "32"}}, other: {hub: a/b}}
judges: {one: {judge: reflection, engine: openai, model: m, url: http://h/v1}}
figures: {f: {x: sft, y: [accuracy, tokens], lines: rl, log_x: true, baseline: {sft: none, rl: none}}}
tables: {t: {rows: [sft, rl], columns: [heldout accuracy]}}
published: [{source: paper, columns: [accuracy], rows: [{sft: none, rl: none, values: [0.5]}]}]
"""
VALUES = [
    None, True, 0, -1, 1, 1.5, 10**25, "", "x", "8k", "none", "sft", "step", "metric", "measure", "${sft}", "${rl.reward}", "²", "every ²", "every 1", "tokens",
    [], {}, [None], [[]], [{}], {"a": None}, {"": 1}, ["none", "none"], [1, 2], ["x"], {"max": []}, {"max": ["none"]},
    {"of": None}, {"step": 2}, {"sft": "none"}, {"from": 1}, {"inherits": {}}, {"mean": "tokens"}, {"hub": "a/b"},
]  # fmt: skip


def plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, tuple) else value


def paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path] * bool(path) + [inner for key, item in items for inner in paths(item, (*path, key))]


STUDY = plain(parse_yaml(BASIC + EXTRA, "study.yaml").value)


@settings(
    max_examples=300,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(path=st.sampled_from(paths(STUDY)), value=st.sampled_from(VALUES), is_key=st.booleans())
def test_any_value_anywhere_is_a_plan_or_messages(path, value, is_key, tmp_path: Path) -> None:
    study = copy.deepcopy(STUDY)
    parent = study
    for part in path[:-1]:
        parent = parent[part]
    if is_key and isinstance(parent, dict):
        parent[str(value)] = parent.pop(path[-1])
    else:
        parent[path[-1]] = value
    try:
        compile_text(json.dumps(study, indent=1), tmp_path)
    except SpecErrors as error:
        assert all(problem.where is not None and "\n" not in problem.what for problem in error.problems)
