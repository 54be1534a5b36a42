"""Small studies for tests, as texts that can be edited."""

from __future__ import annotations

from pathlib import Path

from pipeline.plan.compiled import Plan, compile_plan

BASIC = """\
study: basic
question: Does it compile?
replicates: 2
data:
  short: {source: {synthetic: chains, rows: 400, seed: 1, params: {style: short, split: train}}}
  long:
    source: {synthetic: chains, rows: 300, seed: 2, params: {style: long, split: train}}
    filters: [deduplicate]
  heldout: {source: {synthetic: chains, rows: 16, seed: 3, params: {split: test}}}
recipes:
  sft: {epochs: 1, batch_size: 8, learning_rate: 5e-4, max_length: 256, precision: fp32}
  rl:
    algorithm: rloo
    data: short
    steps: 4
    prompts_per_step: 4
    rollouts: 4
    learning_rate: 1e-4
    max_new_tokens: 48
    precision: fp32
factors:
  model:
    tiny: {tiny: {hidden_size: 32, layers: 1, heads: 2, phases: [{data: [short, long], epochs: 1}]}}
  sft:
    none:
    "32": {inherits: sft, data: long, rows: 32}
    "64": {inherits: sft, data: long, rows: 64}
  rl:
    none:
    acc: {inherits: rl, reward: {accuracy: 1}, checkpoints: [2]}
    plp: {inherits: rl, reward: {powered_length_penalty: {alpha: 4}}}
cells: [{rl: none}, {rl: [acc, plp], sft: ["32"]}]
sampling: {samples: 2, max_new_tokens: 48, precision: fp32}
measure:
  heldout:
analyses: [reflection_keywords]
claims:
  works: {metric: accuracy, of: {sft: none, rl: none}, at_least: 0.1}
  longer: {metric: tokens, of: {sft: "64"}, above: {sft: none}, times: 2, where: {rl: none}}
  early: {metric: accuracy, of: {rl: acc, sft: "32", step: 2}, above: {rl: none}}
"""


def edited(*edits: tuple[str, str]) -> str:
    """BASIC with the first place of each old text replaced."""
    text = BASIC
    for old, new in edits:
        assert old in text, old
        text = text.replace(old, new, 1)
    return text


def compile_text(text: str, folder: Path, name: str = "study.yaml", results: Path | None = None) -> Plan:
    """Write a study into a folder and compile it; errors show the file's name only."""
    path = folder / name
    path.write_text(text)
    return compile_plan([path], results=results or folder / "results")


def keys_by_stage(plan: Plan) -> dict[str, set[str]]:
    """Stage → keys."""
    found: dict[str, set[str]] = {}
    for key, artifact in plan.artifacts.items():
        found.setdefault(artifact.stage, set()).add(key)
    return found
