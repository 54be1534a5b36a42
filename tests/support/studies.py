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

MADE = """\
study: made
replicates: 2
policies:
  outside: {of: {model: big, sft: none}}
  self: {of: {}}
  phase1: {of: {first: own}}
data:
  problems:
    source: {synthetic: chains, rows: 40, seed: 1}
  hard:
    source: {synthetic: chains, rows: 30, seed: 2}
    filters:
      - deduplicate
      - solved_by: {policy: outside, samples: 2, max_new_tokens: 16, at_most: 0.5}
      - max_chars: 2_000
      - judged: {by: reader, keep: [clean]}
  dialogues:
    dialogue: {problems: problems, policy: self, max_new_tokens: 16}
  rounds:
    rejection: {problems: hard, policy: phase1, rounds: [1, 4], max_new_tokens: 16, per_problem: 1}
  uniform:
    rejection: {problems: hard, policy: phase1, match_budget_of: rounds, max_new_tokens: 16}
  distilled:
    sampled: {problems: problems, policy: outside, samples: 3, max_new_tokens: 16, per_problem: 2}
  short:
    compressed: {data: distilled, compressor: outside, keep_rates: [0.5]}
  both:
    mix: [{data: dialogues}, {data: rounds}]
judges:
  reader: {judge: clean_question, engine: openai, model: m, url: "http://127.0.0.1:1/v1"}
recipes:
  sft: {epochs: 1, batch_size: 4, learning_rate: 1e-3, max_length: 64}
factors:
  model:
    tiny: {tiny: {hidden_size: 16, layers: 1, heads: 1, phases: []}}
    big: {tiny: {hidden_size: 32, layers: 1, heads: 1, phases: []}}
  first:
    none:
    own: {inherits: sft, data: dialogues}
  sft:
    none:
    joint: {inherits: sft, data: both}
    rounds: {inherits: sft, data: rounds}
    uniform: {inherits: sft, data: uniform}
    distilled: {inherits: sft, data: distilled}
    short: {inherits: sft, data: short}
chain: [model, {first: sft}, sft]
cells:
  - {first: none}
  - {first: own, sft: [none, rounds]}
sampling: {samples: 1, max_new_tokens: 16}
measure: {problems: }
"""
"""Data of every kind that a model makes, with policies from outside and of the study itself."""


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
