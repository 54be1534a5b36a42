"""The starting policy of a study: from the Hub, from a local folder, or a tiny one made from scratch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pydantic import model_validator

from pipeline.fingerprint import Config, content, placement
from pipeline.prompt import Prompt
from pipeline.stages import HubName, Stage
from pipeline.stages._training import Schedule, refuse_idle_warmup


class HubModel(Config):
    """A model repository on the Hugging Face Hub at one commit."""

    name: str = content(describe="Repository, owner/name.", pattern=r"^[\w.-]+(/[\w.-]+)?$")
    revision: str = content(
        describe="Commit hash that `studyc pin` wrote; `unpinned` can be planned, not run.",
        pattern=r"^([0-9a-f]{40}|unpinned)$",
    )


class LocalModel(Config):
    """A Hugging Face folder on this machine; its content, not its place, is its identity."""

    digest: str = content(describe="Digest of the folder's files; the planner computes it.")
    path: str = placement(describe="The folder.")


class Phase(Config):
    """One pass of pretraining over a mix of the data inputs."""

    data: tuple[int, ...] = content(describe="Indices of the inputs `data` that are mixed.", min_length=1)
    epochs: float = content(1.0, describe="Passes over the mix.", gt=0)
    batch_size: int = content(64, describe="Rows per update.", ge=1)
    learning_rate: float = content(1e-3, describe="Peak learning rate.", gt=0)
    schedule: Schedule = content("cosine", describe="Learning-rate schedule of this phase.")
    warmup: float = content(0.05, describe="Share of the updates spent warming up.", ge=0, lt=1)
    weight_decay: float = content(0.0, describe="AdamW weight decay.", ge=0)
    loss_on: Literal["completion", "all"] = content(
        "completion",
        describe="Tokens that carry loss; all: what stands in the problem is learnt, too (a dialogue's earlier turns).",
    )

    @model_validator(mode="after")
    def _warms_up(self) -> Phase:
        if self.warmup not in (0, Phase.model_fields["warmup"].default):
            refuse_idle_warmup(self.schedule, self.warmup)
        return self


class TinyModel(Config):
    """A Qwen2 architecture with random weights, a tokenizer of its own, and its pretraining phases."""

    kind: Literal["causal", "token_classification"] = content(
        "causal",
        describe="causal: it responds; token_classification: it says of each token whether it is kept "
        "(two labels, random weights: for trying the stage `compress`).",
    )
    hidden_size: int = content(96, describe="Width.", ge=8)
    layers: int = content(3, describe="Decoder layers.", ge=1)
    heads: int = content(4, describe="Attention heads.", ge=1)
    kv_heads: int | None = content(None, describe="Key-value heads; as many as heads when absent.", ge=1)
    intermediate_size: int = content(256, describe="Width of the MLP.", ge=8)
    max_positions: int = content(1024, describe="Longest sequence.", ge=16)
    initializer_range: float = content(
        0.02,
        describe="Deviation of the random weights; widths below 100 learn several times faster with 0.06 to 0.15.",
        gt=0,
    )
    rope_theta: float = content(100.0, describe="RoPE base; small, because the sequences are short.", gt=1)
    tokenizer: Literal["words", "questions", "tags"] = content(
        "words",
        describe="words: the generators' phrases, then single bytes; questions: the lines of the judges' questions, "
        "too; tags: <think> and </think>, too, as in models that reason.",
    )
    phases: tuple[Phase, ...] = content(
        (), describe="Pretraining, one phase after the other; none: random weights."
    )
    prompt: Prompt = content(Prompt(), describe="How a problem becomes a prompt in pretraining.")
    save_every_minutes: float = placement(10.0, describe="Minutes between working checkpoints.", gt=0)

    @model_validator(mode="after")
    def _divisible(self) -> TinyModel:
        if self.hidden_size % self.heads or (self.hidden_size // self.heads) % 2:
            raise ValueError(
                f"hidden_size {self.hidden_size} over {self.heads} heads must give an even whole number"
            )
        if self.heads % (self.kv_heads or self.heads):
            raise ValueError(f"kv_heads {self.kv_heads} does not divide heads {self.heads}")
        if self.kind != "causal" and self.phases:
            raise ValueError(
                "phases pretrain a causal model\nLeave them out: a tiny classifier stays random."
            )
        return self


class StartConfig(Config):
    """Where the policy comes from: exactly one of the three."""

    hub: HubModel | None = content(None, describe="A pinned repository on the Hub.")
    local: LocalModel | None = content(None, describe="A folder on this machine.")
    tiny: TinyModel | None = content(None, describe="A tiny model, made from scratch.")

    @model_validator(mode="after")
    def _exactly_one(self) -> StartConfig:
        given = [name for name in ("hub", "local", "tiny") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"give exactly one of hub, local, tiny, not {' and '.join(given) or 'none'}")
        return self


def _hub_names(config: StartConfig) -> Iterator[HubName]:
    if config.hub is not None:
        yield HubName("models", config.hub.name, config.hub.revision)


STAGE = Stage(
    name="base",
    version=1,
    config=StartConfig,
    produces="policy",
    follows="subset",
    summary="Obtain the starting policy.",
    imports_torch=True,
    hub_names=_hub_names,
    is_in_status=True,
)
