"""Which rule answers which demand: the one place where lowering is put together."""

from __future__ import annotations

from pipeline.plan.lower import (
    base_models,
    chains,
    data,
    demands,
    judges,
    made,
    policies,
    protocols,
    sources,
    trainings,
    word_sharing,
)
from pipeline.plan.lower.resolver import Rules

RULES: Rules = {
    demands.ModelOf: base_models.read_level,
    demands.OutsideModel: base_models.read_outside_model,
    demands.BaseModel: base_models.add_base,
    demands.TrainingOf: trainings.read_training,
    demands.ProtocolOf: protocols.read_protocol,
    demands.CellChain: chains.read_chain,
    demands.OwnPolicy: chains.find_own_policy,
    demands.CheckpointConfig: chains.read_checkpoint,
    demands.PolicyLevels: policies.read_levels,
    demands.JudgeNamed: judges.read_judge,
    demands.DataEntry: data.lower_entry,
    demands.FirstRows: data.lower_first_rows,
    demands.Subset: data.lower_subset,
    demands.Benchmark: sources.lower_benchmark,
    demands.Attempts: made.make_attempts,
    demands.ModelWords: word_sharing.read_words,
    demands.ModelConfigs: word_sharing.share_words,
}
"""Kind of demand → its rule."""
