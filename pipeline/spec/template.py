"""`studyc new`: a commented study that is valid as it stands and runs on a laptop."""

from __future__ import annotations

from pipeline.locate import read_scalar

_TEXT = """\
# yaml-language-server: $schema=schema.json
# {name}: a study for studyc. Valid as it stands:
#   studyc check specs/{name}.yaml     studyc plan specs/{name}.yaml     studyc run specs/{name}.yaml

study: {quoted}
question: Does fine-tuning on longer chains help a tiny model?
replicates: 2                        # seeds; every training and sampling is repeated with each

data:                                # named rows; sources: synthetic, file, hub, dataset, benchmark
  short:
    source: {{synthetic: chains, rows: 3_000, seed: 1, params: {{style: short, split: train}}}}
  long:
    source: {{synthetic: chains, rows: 600, seed: 2, params: {{style: long, split: train}}}}
    filters: [deduplicate]           # studyc schema lists the filters
  heldout:
    source: {{synthetic: chains, rows: 50, seed: 3, params: {{split: test}}}}

recipes:                             # settings that levels inherit
  sft: {{epochs: 1, batch_size: 16, learning_rate: 5e-4, max_length: 512, precision: fp32}}

factors:                             # every combination of levels is a cell
  model:
    tiny:                            # or a hub name: qwen: Qwen/Qwen2.5-0.5B-Instruct; or {{path: FOLDER}}
      tiny: {{hidden_size: 64, layers: 2, heads: 4, phases: [{{data: [short, long], epochs: 1, batch_size: 64}}]}}
  sft:
    none:                            # an empty level skips the stage
    "100": {{inherits: sft, data: long, rows: 100}}
    "400": {{inherits: sft, data: long, rows: 400}}
  # rl:
  #   none:
  #   grpo: {{data: short, algorithm: grpo, reward: {{accuracy: 1}}, steps: 20, prompts_per_step: 8, rollouts: 8,
  #          learning_rate: 1e-4, max_new_tokens: 128, precision: fp32}}

# cells: [{{sft: none}}, {{sft: "400"}}]     # only these combinations; all when absent

sampling: {{samples: 4, temperature: 0.6, top_p: 0.95, max_new_tokens: 128, precision: fp32}}
measure:
  heldout:                           # a data entry, or a benchmark: aime24, math500, gsm8k, …

claims:                              # decided by the data, with intervals
  more_is_better:
    text: 400 long chains beat 100.
    metric: accuracy                 # accuracy, tokens, truncated, token_efficiency, ANALYSIS.column
    of: {{sft: "400"}}
    above: {{sft: "100"}}
"""


def template(name: str) -> str:
    """The text of a new study."""
    is_text = isinstance(read_scalar(name), str)
    return _TEXT.format(name=name, quoted=name if is_text else f'"{name}"')
