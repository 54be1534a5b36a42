"""Studies of a wanted size: models × SFT levels × (no RL, RL) × replicates × two measures."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Shape:
    """A crossing; each (model, level, replicate) is 2 trainings, 4 samples and 4 scores."""

    models: int
    levels: int
    replicates: int

    @property
    def artifacts(self) -> int:
        """All artifacts: the crossing, bases, subsets, two sources and the report."""
        return 10 * self.models * self.levels * self.replicates + self.models + self.levels + 3


SHAPES = {1_000: Shape(2, 5, 10), 10_000: Shape(4, 25, 10), 100_000: Shape(10, 50, 20)}
"""Nominal size → crossing."""

_TEXT = """\
study: large
question: How long does planning take?
replicates: {replicates}
data:
  chains: {{source: {{synthetic: chains, rows: 100_000, seed: 1, params: {{style: long, split: train}}}}}}
  heldout: {{source: {{synthetic: chains, rows: 50, seed: 2, params: {{split: test}}}}}}
recipes:
  sft: {{data: chains, epochs: 1, batch_size: 16, learning_rate: 5e-4, max_length: 512, precision: fp32}}
factors:
  model:
{models}
  sft:
{levels}
  rl:
    none:
    grpo: {{data: chains, algorithm: grpo, reward: {{accuracy: 1}}, steps: 20, prompts_per_step: 8, rollouts: 8,
           learning_rate: 1e-4, max_new_tokens: 128, precision: fp32}}
sampling: {{samples: 4, max_new_tokens: 128, precision: fp32}}
measure:
  heldout:
  cold: {{data: heldout, temperature: 0.3}}
claims:
  rl_helps: {{metric: accuracy, of: {{rl: grpo}}, above: {{rl: none}}, for_each: [model, sft]}}
"""


def study_text(shape: Shape) -> str:
    """The study file of a crossing."""
    models = (f"    m{i}: {{tiny: {{hidden_size: {8 * (i + 1)}, heads: 4}}}}" for i in range(shape.models))
    levels = (f"    n{i}: {{inherits: sft, rows: {16 * (i + 1)}}}" for i in range(shape.levels))
    return _TEXT.format(replicates=shape.replicates, models="\n".join(models), levels="\n".join(levels))


def write_study(size: int, folder: Path) -> Path:
    """Write the study of a nominal size into a folder."""
    path = folder / f"large_{size}.yaml"
    path.write_text(study_text(SHAPES[size]))
    return path
