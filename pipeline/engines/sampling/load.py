"""Loading the engine that a sampling protocol names, at the first need."""

from __future__ import annotations

from pathlib import Path

from pipeline.engines.sampling.protocol import Sampler
from pipeline.stages.sample import SamplingConfig


class Loader:
    """Loads the engine at the first need, so that published work never imports torch."""

    def __init__(self, policy: Path, config: SamplingConfig, work: Path) -> None:
        self.policy, self.config, self.work = policy, config, work
        self._sampler: Sampler | None = None

    def sampler(self) -> Sampler:
        """The engine, loaded now or before."""
        if self._sampler is None:
            self._sampler = load_sampler(self.policy, self.config, self.work)
        return self._sampler


def load_sampler(policy: Path, config: SamplingConfig, work: Path) -> Sampler:
    """Load the engine that the protocol names; `work` is for what an engine has to write."""
    if config.engine == "vllm":
        from pipeline.engines.sampling.vllm_sampler import VllmSampler

        return VllmSampler(policy, config, work)
    from pipeline.engines.sampling.transformers_sampler import TransformersSampler

    return TransformersSampler(policy, config)
