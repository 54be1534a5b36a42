"""From cells to artifacts: sharing, identity, edges, what runs after an edit."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.fingerprint import canonical_json, digest
from pipeline.locate import parse_yaml
from pipeline.plan.artifact import fingerprint_payload
from pipeline.plan.compiled import Plan, compile_plan
from tests.support.studies import BASIC, compile_text, keys_by_stage

COUNTS = {
    "source": 3,
    "filter": 1,
    "subset": 2,
    "base": 1,
    "sft": 4,
    "rl": 4,
    "checkpoint": 2,
    "sample": 12,
    "score": 12,
    "analyse": 12,
    "report": 1,
}


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    return compile_text(BASIC, tmp_path)


def test_shared_prefixes_are_one_artifact(plan: Plan) -> None:
    assert {stage: row["artifacts"] for stage, row in plan.counts().items()} == COUNTS


def test_every_edge_points_to_an_artifact_that_comes_before(plan: Plan) -> None:
    seen: set[str] = set()
    for key, artifact in plan.artifacts.items():
        assert set(artifact.input_keys) <= seen
        seen.add(key)


def test_a_fingerprint_is_the_digest_of_its_canonical_payload(plan: Plan) -> None:
    for key, artifact in plan.artifacts.items():
        if artifact.stage != "report":
            payload = fingerprint_payload(artifact.settled, artifact.seed, artifact.inputs)
            assert key.endswith(digest(canonical_json(payload)))


def test_golden_fingerprints_hold_across_versions(plan: Plan, golden) -> None:
    """A change here orphans everybody's results: it needs a scheme or stage VERSION, and a migration."""
    golden(
        "fingerprints.txt", "".join(f"{artifact.stage} {key}\n" for key, artifact in plan.artifacts.items())
    )


def test_two_studies_that_share_a_prefix_share_its_artifacts(tmp_path: Path) -> None:
    one, two = tmp_path / "one.yaml", tmp_path / "two.yaml"
    one.write_text(BASIC)
    two.write_text(BASIC.replace("study: basic", "study: other").replace("alpha: 4", "alpha: 5"))
    merged = compile_plan([one, two])
    counts = {stage: row["artifacts"] for stage, row in merged.counts().items()}
    assert counts == {**COUNTS, "rl": 6, "sample": 14, "score": 14, "analyse": 14, "report": 2}


@pytest.mark.parametrize(
    ("edit", "changed"),
    [
        (("question: Does it compile?", "question: Does it, now?  # a comment"), set()),
        (("study: basic", "title: A title\nstudy: basic"), set()),
        (("at_least: 0.1", "at_least: 0.2"), {"report"}),
        (("[reflection_keywords]", "[reflection_keywords, length]"), {"analyse", "report"}),
        (("alpha: 4", "alpha: 5"), {"rl", "sample", "score", "analyse", "report"}),
        (
            ("hidden_size: 32", "hidden_size: 48"),
            {"base", "sft", "rl", "checkpoint", "sample", "score", "analyse", "report"},
        ),
        (("seed: 3", "seed: 4"), {"source", "sample", "score", "analyse", "report"}),
        (("samples: 2", "samples: 3"), {"sample", "score", "analyse", "report"}),
        (("samples: 2", "samples: 2, batch_size: 8, shard_rows: 9"), set()),
        (("batch_size: 8", "batch_size: 8, micro_batch: 2, gradient_checkpointing: true"), set()),
        (("rollouts: 4", "rollouts: 4\n    gpus: 2\n    save_every_minutes: 1"), set()),
    ],
)
def test_an_edit_changes_exactly_the_cone_below_it(
    edit: tuple[str, str], changed: set[str], tmp_path: Path
) -> None:
    before = keys_by_stage(compile_text(BASIC, tmp_path))
    assert edit[0] in BASIC
    after = keys_by_stage(compile_text(BASIC.replace(edit[0], edit[1], 1), tmp_path))
    assert {stage for stage in before | after if before[stage] != after[stage]} == changed


def test_levels_that_differ_in_placement_alone_keep_their_own(tmp_path: Path) -> None:
    text = BASIC.replace(
        '"64": {inherits: sft, data: long, rows: 64}', '"64": {inherits: sft, data: long, rows: 64, gpus: 2}'
    )
    gpus = {
        a.key.split("-")[3]: a.settled.config.gpus
        for a in compile_text(text, tmp_path).artifacts.values()
        if a.stage == "sft"
    }
    assert gpus == {"32": 0, "64": 2}
    assert (
        keys_by_stage(compile_text(text, tmp_path))["sft"]
        == keys_by_stage(compile_text(BASIC, tmp_path))["sft"]
    )


def test_renaming_a_level_moves_nothing_but_the_report(tmp_path: Path) -> None:
    before = keys_by_stage(compile_text(BASIC, tmp_path))
    after = keys_by_stage(compile_text(BASIC.replace("plp", "shorter"), tmp_path))
    assert {stage for stage in before if before[stage] != after[stage]} == {"report"}


def test_adding_a_level_adds_artifacts_and_changes_no_other(tmp_path: Path) -> None:
    before = compile_text(BASIC, tmp_path)
    more = BASIC.replace('    "64":', '    "48": {inherits: sft, data: long, rows: 48}\n    "64":')
    after = compile_text(more, tmp_path)
    kept = {key for key, artifact in before.artifacts.items() if artifact.stage != "report"}
    assert kept < set(after.artifacts)


def test_adding_a_checkpoint_changes_no_training(tmp_path: Path) -> None:
    before = keys_by_stage(compile_text(BASIC, tmp_path))
    after = keys_by_stage(compile_text(BASIC.replace("checkpoints: [2]", "checkpoints: [1, 2]"), tmp_path))
    assert after["rl"] == before["rl"]
    assert after["checkpoint"] > before["checkpoint"]


def test_greedy_sampling_has_no_seed(tmp_path: Path) -> None:
    plan = compile_text(BASIC.replace("samples: 2", "samples: 1, temperature: 0"), tmp_path)
    base = [a for a in plan.artifacts.values() if a.stage == "sample" and a.title.startswith("model=tiny ·")]
    assert len(base) == 1


def test_a_further_factor_is_used_by_reference(tmp_path: Path) -> None:
    text = BASIC.replace("factors:\n", "factors:\n  alpha: [1, 2, 4]\n").replace(
        "{alpha: 4}", '{alpha: "${alpha}"}'
    )
    plan = compile_text(text, tmp_path)
    assert plan.counts()["rl"]["artifacts"] == 2 * (3 + 1)
    assert plan.counts()["sft"]["artifacts"] == 4


def test_only_what_is_needed_runs(plan: Plan) -> None:
    assert set(plan.to_run) == set(plan.artifacts)
    scores = [key for key, a in plan.artifacts.items() if a.stage in ("score", "analyse")]
    for key in scores:
        folder = plan.results / plan.artifacts[key].stage / key
        folder.mkdir(parents=True)
        (folder / "record.json").write_text("{}")
    again = Plan(plan.studies, plan.artifacts, plan.settled, plan.results)
    assert {plan.artifacts[key].stage for key in again.to_run} == {"report"}


def test_unpinned_hub_names_are_counted_and_pins_are_identity(tmp_path: Path) -> None:
    text = BASIC.replace("    tiny: {tiny:", "    qwen: Qwen/Qwen2.5-0.5B-Instruct\n    tiny: {tiny:")
    plan = compile_text(text, tmp_path)
    assert plan.unpinned == (("models", "Qwen/Qwen2.5-0.5B-Instruct"),)
    (tmp_path / "hub.lock.yaml").write_text(f'models: {{"Qwen/Qwen2.5-0.5B-Instruct": "{"a" * 40}"}}\n')
    pinned = compile_text(text, tmp_path)
    assert not pinned.unpinned
    assert keys_by_stage(pinned)["base"] != keys_by_stage(plan)["base"]


LEAVES = st.sampled_from(["comments", "key order", "spaces"])


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.randoms(use_true_random=False))
def test_key_order_and_comments_never_change_a_fingerprint(tmp_path: Path, random) -> None:
    expected = set(compile_text(BASIC, tmp_path).artifacts)
    assert set(compile_text(_shuffled(BASIC, random), tmp_path).artifacts) == expected


def _shuffled(text: str, random) -> str:
    """The study with the keys of every mapping but those whose order means something in another order."""
    ordered = {"factors", "model", "sft", "rl", "measure"}

    def write(value, name: str = ""):
        if isinstance(value, dict):
            items = list(value.items())
            if name not in ordered:
                random.shuffle(items)
            return {key: write(item, key) for key, item in items}
        return [write(item) for item in value] if isinstance(value, tuple) else value

    return "# shuffled\n" + json.dumps(
        write(parse_yaml(text, "s.yaml").value), indent=random.choice([None, 1, 4])
    )


NUMBERS = st.integers(1, 40)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    sizes=st.lists(NUMBERS, min_size=1, max_size=5, unique=True), seeds=st.integers(1, 4), rl=st.booleans()
)
def test_any_crossing_is_an_acyclic_graph_of_known_size(
    tmp_path: Path, sizes: list[int], seeds: int, rl: bool
) -> None:
    levels = "".join(f'    "{n}": {{inherits: sft, data: long, rows: {n}}}\n' for n in sizes)
    text = BASIC[: BASIC.index("claims:")]
    start, end = text.index('    "32":'), text.index("  rl:\n    none:")
    text = text[:start] + levels + text[end:]
    text = text.replace(
        'cells: [{rl: none}, {rl: [acc, plp], sft: ["32"]}]\n', "" if rl else "cells: [{rl: none}]\n"
    )
    plan = compile_text(text.replace("replicates: 2", f"replicates: {seeds}"), tmp_path)
    counts = {stage: row["artifacts"] for stage, row in plan.counts().items()}
    assert counts["sft"] == len(sizes) * seeds
    assert counts.get("rl", 0) == (2 * (len(sizes) + 1) * seeds if rl else 0)
    seen: set[str] = set()
    for key, artifact in plan.artifacts.items():
        assert set(artifact.input_keys) <= seen
        seen.add(key)


def test_two_decontaminations_of_one_entry_compare_with_their_own_sets_only(tmp_path: Path) -> None:
    filters = "[deduplicate, {decontaminate: [heldout]}, {max_chars: 2_000}, {decontaminate: {against: [short], n: 5}}]"
    plan = compile_text(BASIC.replace("filters: [deduplicate]", f"filters: {filters}"), tmp_path)
    filtered = [dict(artifact.inputs) for artifact in plan.artifacts.values() if artifact.stage == "filter"]
    measured = [dict(artifact.inputs) for artifact in plan.artifacts.values() if artifact.stage == "sample"]
    first, second = (inputs["against"] for inputs in filtered)
    assert first == measured[0]["problems"] and len(second) == 1 and second != first
